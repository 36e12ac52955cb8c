(exit 3) | (exit 0) | (exit 5); echo "${PIPESTATUS[@]}"
set -o pipefail; false | true; echo $?; set +o pipefail
for i in 3 1 2; do (sleep 0.$i; exit $i) & done; wait -n; echo $?; wait -n; echo $?; wait; echo $?
trap 'echo "error $?"' ERR; false; trap - ERR
trap 'echo bye' EXIT; trap 'echo usr1' USR1; kill -USR1 $$; kill -l 15
coproc { while read -r n; do echo $((n * 2)); done; }; echo 21 >&${COPROC[1]}; read -r r <&${COPROC[0]}; echo $r; eval "exec ${COPROC[1]}>&-"; wait $COPROC_PID; echo $?
x=$(echo sub; exit 4); echo $? $x; y=$(< data/folder/inner); echo $y
cat <<< "here string"; { echo a; echo b >&2; } 2>&1 | sort
time_it() { TIMEFORMAT=; time "$@"; }; time_it true; echo $?
seq 1000 | while read -r l; do ((t += l)); done; echo ${t:-none}
echo $BASHPID $$ | awk '{ print ($1 == $2) }'; (echo $BASHPID $$) | awk '{ print ($1 == $2) }'
exec {fd}> tmp/fd; echo text >&$fd; exec {fd}>&-; cat tmp/fd
