env A=1 B=2 sh -c 'echo $A $B'; env -i /bin/env; env | grep LANG; A=3 env | grep ^A=; env -u LANG sh -c 'echo [$LANG]'
timeout 0.1 sleep 10; echo $?
timeout 5 echo in time; echo $?
timeout -s KILL 0.1 sleep 10; echo $?
nohup echo nohup 2>/dev/null
sleep 0.01; sleep 0; echo slept
time true 2>/dev/null; echo $?
which cat; basename $(which ls)
id -u; whoami; hostname >/dev/null; uname -s; tty; echo $?
date -u -d @86400 +%F; cal 1 2000 | head -n 2
echo 'scale=3; 10/3; 2^64; sqrt(2)' | bc; echo '5 3 + p 2 k 7 3 / p' | dc
true; echo $?; false; echo $?; [ 1 = 1 ]; echo $?; test 1 -gt 2; echo $?
echo -n no newline; echo; echo -e 'a\nb\x41'; echo "$(printf '\101')"
seq 5 | shuf | sort -n | head -n 1
usleep 1000; sync; echo synced
cat /proc/none 2>/dev/null; echo $?
sh -c 'ulimit -n 50; ulimit -n'; umask; umask 077; touch tmp/m; stat -c %a tmp/m
expr substr abcdef 2 3; expr index abc c
mkfifo tmp/p; (seq 3 > tmp/p) & awk '{ print $1 * 2 }' tmp/p; wait
echo abc | sed 'y/abc/xyz/'; echo a.b.c | tr . -; echo 1 2 | awk '{ print $2 / $1 }'
run-parts tmp/none 2>/dev/null; tee tmp/t1 tmp/t2 < data/folder/inner; cat tmp/t1 tmp/t2
