sh -ec 'echo a; false; echo b'; echo $?
sh -ec 'false || echo or; true && echo and; if false; then :; fi; echo end'; echo $?
sh -ec 'f() { false; echo in f; }; f; echo no'; echo $?
sh -uc 'echo $none; echo no'; echo $?
sh -c 'no-such-command'; echo $?
sh -c '/data/words'; echo $?
sh -c '/data'; echo $?
sh -c 'echo x > /no/such/file'; echo $?
sh -c 'cat < /none'; echo $?
sh -c 'if'; echo $?
sh -c 'exit 256'; echo $?
sh -c 'return 3'; echo $?
sh -c 'cd /none || echo cannot'; echo $?
sh -xc 'a=1; echo $a' 2>&1
sh -c 'set -o pipefail; false | true'; echo $?
sh -nc 'echo not run'; echo $?
sh -c 'echo $0 $1 $#' name one two
sh -c 'shift; echo $1' name one two
echo 'echo from stdin $1' | sh -s argument
command -v cat; type cat; type cd
cat none 2>/dev/null || echo none $?
ls none > tmp/o 2>&1; cat tmp/o
