# rpm.sh ROOT VERSION has rpm install packages: of one source two, and of another one, of
# that version.
set -e
here=$(dirname "$0")
for spec in one tools; do
  rpmbuild --quiet -bb -D "_topdir $PWD/rpm" -D "ver $2" "$here/$spec.spec"
done
rpm --root "$PWD/$1" --dbpath /usr/lib/sysimage/rpm --nodeps -U --replacepkgs rpm/RPMS/noarch/one-*.rpm rpm/RPMS/noarch/tools-$2-*.rpm
