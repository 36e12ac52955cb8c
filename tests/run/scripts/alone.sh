# Builtins alone: nothing is started.
i=0; while [ $i -lt 20 ]; do i=$((i + 7)); echo $i; done
s=hello/world.tar.gz; echo ${s#*/} ${s##*.} ${s%.*} ${s%%.*} ${#s} ${none:-default}
case abc in a*) echo star;; *) echo no;; esac
f() { local a=$1; [ $a -gt 0 ] && { echo $a; f $((a - 1)); }; }
f 4
set -- p q r; for a; do echo "<$a>"; done; shift; echo $# "$*"
printf '%s-%03d|' a 1 b 2; echo
while read -r line; do t="$t${line%% *}"; done < /data/text; echo ${#t}
exit 5
