work() { sleep 0.0$1; echo "done $1" > tmp/$1; }
for i in 5 3 1 4 2; do work $i & done; wait; cat tmp/1 tmp/2 tmp/3 tmp/4 tmp/5
limit=2; n=0; for i in 1 2 3 4 5 6; do (exit $((i % 3))) & n=$((n + 1)); [ $n -ge $limit ] && { wait; n=0; }; done; wait; echo finished
(sleep 10; echo never) & killer=$!; kill $killer; wait $killer 2>/dev/null; echo $?
x=$( (sleep 0.02; echo inner) & wait; echo outer); echo $x
