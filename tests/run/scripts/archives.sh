cd tmp
tar c -C / data | tar t | sort
tar cf a.tar -C /data words folder; tar tf a.tar | sort; mkdir out; tar xf a.tar -C out; cmp out/words /data/words && cat out/folder/deep/most
tar czf a.tgz -C /data text; tar xzf a.tgz -O | md5sum; tar tzf a.tgz
tar c -C /data . | (mkdir t; cd t; tar x); ls t; readlink t/link
gzip -c /data/words | gunzip | cmp - /data/words && echo gzip
gzip < /data/words > w.gz; zcat w.gz | wc; gunzip -t w.gz; echo $?
bzip2 < /data/words | bunzip2 | md5sum; md5sum < /data/words
cp /data/text .; gzip text; ls text*; gunzip text.gz; cmp text /data/text && echo back
(cd /data; find . | sort | cpio -o -H newc 2>/dev/null) > c.cpio; mkdir c; (cd c; cpio -id 2>/dev/null < ../c.cpio); find c | sort
diff -r /data c && echo equal
echo broken | gunzip; echo $?
head -c 100 w.gz | gunzip > /dev/null; echo $?
unxz < /dev/null; echo $?
tar xf none.tar; echo $?
