mkfifo tmp/ask tmp/answer
(while read n; do echo $((n * n)); done < tmp/ask > tmp/answer) &
exec 3> tmp/ask 4< tmp/answer
for n in 3 5 12; do echo $n >&3; read a <&4; echo "$n: $a"; done
exec 3>&- 4<&-; wait; echo closed
