i=0; while [ $i -lt 5 ]; do i=$((i + 1)); [ $i = 3 ] && continue; [ $i = 5 ] && break; echo $i; done
until [ $i -le 0 ]; do i=$((i - 2)); echo $i; done
for w in a "b c" d; do echo "<$w>"; done
for f in data/*; do echo $f; done
for x in 1 2; do for y in a b; do [ $x$y = 2a ] && break 2; echo $x$y; done; done
case abc in a*) echo star;; *) echo no;; esac
case "x y" in "x y"|z) echo quoted;; esac
case 5 in [0-4]) echo low;; [5-9]) echo high;; esac
select_one() { case $1 in -*) echo option;; '') echo nothing;; ?) echo one;; *) echo long;; esac; }
select_one -a; select_one ''; select_one q; select_one word
fac() { if [ $1 -le 1 ]; then echo 1; else echo $(($1 * $(fac $(($1 - 1))))); fi; }
fac 10
fib() { local a=$1; [ $a -lt 2 ] && { echo $a; return; }; echo $(($(fib $((a - 1))) + $(fib $((a - 2))))); }
fib 9
set -- p q r; for a; do echo $a; done; echo $# $*; shift 2; echo "$@"
s=hello/world.tar.gz; echo ${s#*/} ${s##*.} ${s%.*} ${s%%.*} ${#s} ${s:-no} ${none:-default} ${none:+set}x ${s/o/0}
echo $((7 / 2)) $((7 % 3)) $((1 << 10)) $((0x1f)) $((5 > 3 ? 10 : 20)) $((~0)) $((-7 / 2)) $((2 ** 10))
n=0; while :; do n=$((n + 1)); [ $n -gt 500 ] && break; done; echo $n
IFS=:; set -- $(echo a:b:c); echo $2; unset IFS
eval 'v=3; echo $v'; readonly v; (v=4) 2>/dev/null; echo $?
alias ll='echo alias'; echo ${LANG}
printf '%s\n' "a'b" 'c"d' "e\$f" 'g\h'
let n=n+5; echo $n; [ "$n" -gt 3 -a -n x ] && echo both
echo {a,b} ~ "*" '?' \*
