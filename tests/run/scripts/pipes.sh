ls | wc -l
cat data/words | sort | uniq | wc -l
cat data/words | cut -d, -f3 | sort | uniq -c | sort -k1,1nr -k2 | head -n 5
seq 1 1000 | grep 7 | sed 's/7/seven/' | tail -n 3
yes | head -n 3
yes abc | head -c 10; echo
seq 100 | tee tmp/copy | tail -n 1
wc -l < tmp/copy
echo one two three | tr ' ' '\n' | rev | tac
seq 1 5000 | awk '{ s += $1 } END { print s }'
cat data/words | cat | cat | cat | cat | cat | md5sum
true | false; echo $?
false | true; echo $?
exit 3 | exit 4; echo $?
! true; echo $?
seq 20000 | sha256sum
seq 3 | while read n; do echo "n=$n"; done
printf 'a b\nc d\n' | while read x y; do echo "$y $x"; done
