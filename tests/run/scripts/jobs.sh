set -m 2>/dev/null
sleep 100 &
sleep 200 &
jobs | sed 's/ *$//'
# The shell tells of the end when it hears of it first: at the wait, or not at all.
{ kill %1; wait %1; } 2>/dev/null; echo $?
{ kill %2; wait %2; } 2>/dev/null; echo $?
jobs
sleep 1 & fg >/dev/null; echo $?
(sleep 1; exit 3) & wait %1; echo $?
sh -c 'sleep 100 & kill %1; wait; echo $?'
sleep 100 & kill -STOP %1; sleep 1; jobs | grep -c Stopped; { kill -CONT %1; kill %1; wait %1; } 2>/dev/null; echo $?
