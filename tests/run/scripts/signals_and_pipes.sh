yes | head -n 1; echo $?
set -o pipefail; yes | head -n 1; echo $?; set +o pipefail
(echo a; sh -c "kill -PIPE \$\$"; echo $?) | cat
sh -c 'cat | cat' < data/folder/inner
(sleep 0.05; echo late) | (read x; echo got $x)
(echo first; sleep 0.05; echo second) | while read x; do echo "[$x]"; done
seq 5 | (read a; read b; echo $b; cat | tail -n 1)
trap 'echo chld' CHLD 2>/dev/null; trap - CHLD
sh -c 'kill -STOP $$; echo went on' & p=$!; sleep 0.7; kill -CONT $p; wait $p; echo $?
sh -c 'trap "" PIPE; yes 2>/dev/null; echo $? >&2' | head -n 1
sh -c 'exec sleep 5' & p=$!; sleep 0.02; kill -QUIT $p; wait $p; echo $?
cat data/words | head -n 1 | cat; cat data/words | sed 1q
