i=0; while [ $i -lt 60 ]; do /bin/true; i=$((i + 1)); done; echo $i
for i in $(seq 30); do (exit 0) & done; wait; echo all
for i in $(seq 20); do echo $i | cat; done | md5sum
a=; for i in $(seq 40); do a="$a$(echo $i)"; done; echo ${#a}
seq 12 | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat | tail -n 1
f() { [ $1 -gt 0 ] && (f $(($1 - 1))) || echo bottom; }; f 15
seq 30000 | tail -n 1
seq 10000 | sort -n | md5sum
yes | head -n 20000 | wc -c
cat data/words data/words data/words | gzip | gunzip | wc -l
