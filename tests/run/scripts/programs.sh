# A script that does a little of everything: a counter of words, a table, a log with rotation.
count() { tr -cs 'a-z0-9' '\n' | sort | uniq -c | sort -k1,1nr -k2,2 | head -n ${1:-3}; }
count 5 < data/text
count < data/words
log() { echo "$1" >> tmp/log; if [ $(wc -l < tmp/log) -ge 5 ]; then mv tmp/log tmp/log.$n; n=$((n + 1)); : > tmp/log; fi; }
n=0; for i in $(seq 23); do log "entry $i"; done; ls tmp; cat tmp/log tmp/log.3
sum=0; while IFS=, read a b c; do sum=$((sum + a)); done < data/words; echo $sum
table() { for r in 1 2 3 4; do l=; for c in 1 2 3 4; do l="$l$(printf %4d $((r * c)))"; done; echo "$l"; done; }
table
cat > tmp/script <<'END'
#!/bin/sh
echo "I am $0 with $# arguments: $*"
[ $# -gt 0 ] && shift && exec "$0" "$@"
exit 11
END
chmod +x tmp/script; tmp/script a b; echo $?
sh tmp/script x; echo $?
echo 'lib() { echo from lib $1; }' > tmp/lib; . /tmp/lib; lib 5
producer() { for i in 1 2 3 4 5; do echo item $i; done; }
producer | while read -r w i; do [ $((i % 2)) = 0 ] && echo even $i; done
primes() { i=2; while [ $i -lt 60 ]; do j=2; p=1; while [ $((j * j)) -le $i ]; do [ $((i % j)) = 0 ] && { p=0; break; }; j=$((j + 1)); done; [ $p = 1 ] && printf '%d ' $i; i=$((i + 1)); done; echo; }
primes
stack=; push() { stack="$1 $stack"; }; pop() { set -- $stack; top=$1; shift; stack=$*; }
push a; push b; push c; pop; echo $top; pop; echo $top
getopts ab:c o -a -b value rest; echo $o; while getopts ab: o -a -b 5; do echo $o $OPTARG; done
