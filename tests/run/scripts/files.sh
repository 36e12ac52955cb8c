cd tmp
touch a b; mkdir -p x/y/z; cp a x; mv b x/y; ls -R
echo text > a; cp a c; ln a d; ln -s a e; cat d e; readlink e; [ -L e ] && echo link
stat -c '%n %s %h %F %a' a c d; stat -c '%N' e
chmod 600 a; stat -c %a a d; chmod u+x,go-w c; stat -c %a c; ls -l | grep -v ^d | awk '{ print $1, $2, $3, $4, $5 }' | tail -n +2
rm d; cat a; rm -r x; ls
rmdir none; echo $?; mkdir a; echo $?; rm none; echo $?; rm -f none; echo $?
mkdir dir; touch dir/1 dir/2; cp -r dir copy; ls copy; mv dir moved; ls; rmdir moved; echo $?
find . -type f | sort; find . -name '[12]' -exec echo found {} \; | sort; find . -type d | sort
find . -type f -exec wc -c {} + | tail -n 1; find copy -type f -exec rm {} +; rmdir copy; ls
dd if=/data/words of=part bs=100 skip=2 count=3 2>/dev/null; wc -c part; md5sum part
dd if=/data/words bs=1000 count=2 2>&1 >/dev/null | head -n 2
t=$(mktemp); [ -f $t ] && echo made; t=$(mktemp -d); [ -d $t ] && echo folder
touch -d '2020-01-01 00:00:00' old; [ a -nt old ] && echo newer; stat -c %Y old; date -u -r old +%F
truncate -s 5000 big; wc -c < big; du -a moved 2>/dev/null | wc -l
ln -sf c e; readlink -f e; realpath ../data/link; pwd; cd /data/link/.. 2>/dev/null; echo $?
cd /data && cat link && ls -d */ && ls -a folder && cd - 
test -d /data && test ! -e /none && test -s /data/words && [ -r /etc/passwd ] && echo tests
install -d /tmp/made/deep 2>/dev/null && ls -d /tmp/made/deep
cat /etc/passwd | cut -d: -f1
