sh -c "sh -c \"sh -c 'echo three deep; exit 3'; exit \\\$?\"; exit \$?"; echo $?
n() { if [ $1 = 0 ]; then echo zero; else sh -c "$(printf 'echo %s' $1)"; n $(($1 - 1)); fi; }; n 4
v=1 sh -c 'echo $v; export w=2; sh -c "echo \$v \$w"'; echo [$v]
echo 'echo $$ > /dev/null; for a in "$@"; do echo "<$a>"; done' > tmp/s; sh tmp/s 'a b' c
(ulimit -s 1024 && sh -c 'echo small stack'); sh -c 'exec 2>&1; cat none'; sh -c 'sh -c "kill -9 \$\$"; echo $?'
