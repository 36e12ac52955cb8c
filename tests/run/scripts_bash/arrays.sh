a=(one two "three four"); a+=(five); echo "${#a[@]} ${a[2]} ${a[*]:1:2}"; unset 'a[1]'; echo "${!a[@]}"
declare -A m=([x]=1 [y]=2); m[z]=3; for k in x y z; do echo "$k=${m[$k]}"; done; echo ${#m[@]}
for i in {1..5} {a..c}; do printf '%s ' $i; done; echo
s='Hello World'; echo ${s,,} ${s^^} ${s/o/0} ${s//o/0} ${s:6:3} ${s: -3}
[[ $s =~ ^(H[a-z]+)\ (W.*)$ ]] && echo "${BASH_REMATCH[1]}-${BASH_REMATCH[2]}"
[[ abc == a* && ! abc < abb ]] && echo pattern
printf -v v '%05.2f' 3.14159; echo $v; read -r -a words <<< 'a b c'; echo ${words[1]}
mapfile -t lines <<< $'x\ny'; echo ${#lines[@]}
for ((i = 0; i < 3; i++)); do echo $i; done; echo $((16#ff)) $((2**20)); ((i > 2)) && echo more
f() { local -n ref=$1; ref=changed; }; x=old; f x; echo $x
case x in x) echo 1;& y) echo 2;; z) echo 3;; esac
echo ${v@Q} $'a\tb'; set -- 1 2 3; echo "${@:2}" ${!#}
