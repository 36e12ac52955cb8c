trap 'echo got USR1' USR1
kill -USR1 $$
echo after
trap '' TERM; kill -TERM $$; echo lives
trap - TERM
(trap 'echo sub exit' EXIT; exit 3); echo $?
sh -c 'trap "echo int; exit 4" INT; kill -INT $$; echo not here'; echo $?
sh -c 'trap "echo term" TERM; kill -TERM $$; echo goes on; exit 2'; echo $?
sh -c 'kill -TERM $$'; echo $?
sh -c 'kill -KILL $$'; echo $?
sh -c 'kill -HUP $$; echo no'; echo $?
sh -c 'trap "echo exit trap" EXIT; false; exit 6'; echo $?
sh -c 'trap "echo one" EXIT; trap "echo two" EXIT'
sh -c 'trap "echo child told" USR1; (sleep 0.05; kill -USR1 $$) & sleep 0.8; wait; echo end'
sh -c 'trap "echo stops waiting" USR1; sleep 5 & p=$!; (sleep 0.05; kill -USR1 $$) & wait $p; echo $?; kill $p'
trap 'echo exit $?' EXIT
trap
set -e
echo before
(exit 12)
echo never
