# pacman.sh ROOT VERSION does the same with pacman.
set -e
mkdir -p "$1/var/lib/pacman"
printf '[options]\nArchitecture = x86_64\nSigLevel = Never\n' > pacman.conf
package() { # NAME BASE VERSION FILE CONTENT
  rm -rf package && mkdir -p "package/$(dirname $4)" && echo "$5" > package/$4
  printf 'pkgname = %s\npkgbase = %s\npkgver = %s-1\npkgdesc = a test\nsize = 10\narch = any\n' $1 $2 $3 > package/.PKGINFO
  tar -C package --owner=0 --group=0 -cf $1.pkg.tar .PKGINFO ${4%%/*}
}
package one one 1 usr/share/one/data data
package one-libs one 1 usr/lib/one/lib lib
package tools tools $2 usr/share/tools/data "tools $2"
pacman --config pacman.conf --root "$PWD/$1" --noconfirm -dd -U *.pkg.tar >&2
