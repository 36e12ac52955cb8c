cd tmp; for a in 1 2 3; do for b in x y; do mkdir -p $a/$b; echo "$a$b" > $a/$b/file; done; done
find . -name file | sort | xargs cat | tr '\n' ' '; echo
find . -path './2*' -type f -exec rm {} \; ; find . -type f | wc -l
for d in */; do echo "$d $(ls $d | wc -l)"; done; cp -a 1 9; diff -r 1 9 && echo same; rm -rf 1 2; ls
mv 3 /data/; ls /data; ln -s /data/3 three; cat three/x/file; rm three; [ -e three ]; echo $?
du -s /data/3 | wc -l; ls -1 /data/3 | sort -r; (cd /data/3/x && pwd -P)
