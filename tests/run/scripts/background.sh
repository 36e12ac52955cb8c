sleep 0.05 && echo slow &
echo fast
wait
(exit 5) & wait $!; echo $?
for i in 1 2 3 4 5; do (sleep 0.0$i; exit $i) & pids="$pids $!"; done
for p in $pids; do wait $p; echo $?; done
sleep 100 & kill $!; wait $!; echo $?
sleep 100 & kill -9 $!; wait $!; echo $?
sleep 100 & kill -INT $!; kill -TERM $! ; wait $!; echo $?
wait; echo $?
wait 999999; echo $?
{ sleep 0.02; echo from the background; } > tmp/out & wait; cat tmp/out
seq 1000 > tmp/numbers & wait $!; wc -l < tmp/numbers
(sleep 0.05; echo late > tmp/late) &
[ -e tmp/late ] && echo early; wait; cat tmp/late
mkfifo tmp/fifo; echo through > tmp/fifo & cat tmp/fifo; wait
cat < tmp/fifo & seq 3 > tmp/fifo; wait
