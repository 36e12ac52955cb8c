seq 10 | xargs
seq 10 | xargs -n 3 echo row
seq 3 | xargs -I {} echo "item {}"
find data -type f | sort | xargs wc -c
find data -type f | sort | xargs -n 1 basename
echo 'a b  c' | xargs -n 1
printf 'one\0two words\0' | xargs -0 -n 1 echo
seq 3 | xargs -n 1 sh -c 'exit 1'; echo $?
echo x | xargs no-such; echo $?
echo | xargs echo none; echo | xargs -r echo none
find data -name 'inn*' -print -o -name most -print | sort
find . -maxdepth 1 -type d | sort
find data -type f -size +1k; find data -type l; find data -empty
find data -type f | sort | while read f; do echo "$f: $(wc -c < $f)"; done
find data -type f -exec sh -c 'echo "$1 has $(wc -l < "$1")"' _ {} \; | sort
seq 500 | xargs -n 50 | wc -l
seq 2000 | xargs echo | wc -w
find data -type f -exec md5sum {} + | sort
