seq 1 200 | tee tmp/a | awk 'NR % 2' | tee tmp/b | md5sum; wc -l tmp/a tmp/b
{ seq 3; seq 10 12 >&2; } 2>tmp/e | tac; cat tmp/e
(exec 9>&1; echo through nine >&9) | sed 's/nine/9/'
exec 5<data/words; i=0; while read -r l <&5; do i=$((i + 1)); done; echo $i; exec 5<&-
dd if=data/words bs=512 2>/dev/null | dd bs=100 skip=1 count=2 2>/dev/null | md5sum
cat - data/folder/inner <<END | sort
zzz
END
md5sum < data/words
od -An -tu1 -N8 data/words; head -c 4 /dev/zero | od -An -tx1; seq 5 | sed -n '$='
