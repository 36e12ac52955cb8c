x=outer
(x=inner; echo $x; cd data; pwd)
echo $x; pwd
{ echo a; echo b; } | tr a-z A-Z
y=$(echo one; (echo two; echo three) | tac)
echo "$y"
z=`echo back quotes`; echo $z
echo $(echo $(echo $(echo deep)))
(exit 7); echo $?
( (exit 8) ); echo $?
a=$(exit 9); echo $?
echo "$(seq 3)"
echo $(seq 3)
f() { (return 5); echo in $?; return 6; }
f; echo $?
for i in 1 2 3; do (exit $i) || echo "failed $i"; done
(trap 'echo bye' EXIT; echo hello)
v=$(printf 'ends with lines\n\n\n'); echo "[$v]"
echo $((2 + $(echo 3) * 4))
n=0; seq 5 | while read k; do n=$((n + k)); done; echo $n
