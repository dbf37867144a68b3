package owned

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// other is a user who is neither root nor the one of the test.
const other = 4711

func asRoot(t *testing.T) {
	t.Helper()
	need.Root(t)
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOthersFoldersAreRefused(t *testing.T) {
	asRoot(t)
	for name, test := range map[string]struct {
		prepare func(dir string) error
		want    string // "" is accepted
	}{
		"own":                 {func(dir string) error { return os.Mkdir(dir+"/a", 0o755) }, ""},
		"not there":           {func(dir string) error { return nil }, ""},
		"another's":           {func(dir string) error { return mkOwned(dir+"/a", other) }, "a belongs to user 4711"},
		"below another's":     {func(dir string) error { return firstErr(os.Mkdir(dir+"/a", 0o755), os.Chown(dir, other, other)) }, "is reached through it"},
		"everybody may write": {func(dir string) error { return firstErr(os.Mkdir(dir+"/a", 0o755), os.Chmod(dir+"/a", 0o777)) }, "chmod o-w"},
		"a group may write": {func(dir string) error {
			return firstErr(mkOwned(dir+"/a", 0), os.Chown(dir+"/a", 0, other), os.Chmod(dir+"/a", 0o775))
		}, "chmod g-w"},
		"root's group":       {func(dir string) error { return firstErr(os.Mkdir(dir+"/a", 0o755), os.Chmod(dir+"/a", 0o775)) }, ""},
		"in a sticky folder": {func(dir string) error { return firstErr(os.Mkdir(dir+"/a", 0o755), os.Chmod(dir, 0o777|os.ModeSticky)) }, ""},
		"a sticky folder": {func(dir string) error {
			return firstErr(os.Mkdir(dir+"/a", 0o755), os.Chmod(dir+"/a", 0o777|os.ModeSticky))
		}, "chmod o-w"},
		"another's in sticky": {func(dir string) error { return firstErr(mkOwned(dir+"/a", other), os.Chmod(dir, 0o777|os.ModeSticky)) }, "belongs to user"},
		"link to own":         {func(dir string) error { return firstErr(os.Mkdir(dir+"/b", 0o755), os.Symlink("b", dir+"/a")) }, ""},
		"link to another's": {func(dir string) error {
			return firstErr(mkOwned(dir+"/b", other), os.Symlink(dir+"/c/../b", dir+"/a"), os.Mkdir(dir+"/c", 0o755))
		}, "b belongs to user"},
		"another's link": {func(dir string) error {
			return firstErr(os.Symlink("/etc", dir+"/a"), os.Lchown(dir+"/a", other, other))
		}, "a belongs to user"},
		"link into the nowhere": {func(dir string) error { return os.Symlink("nowhere", dir+"/a") }, ""},
		"a ring of links":       {func(dir string) error { return os.Symlink("a", dir+"/a") }, "too many levels"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			do(t, test.prepare(dir))
			err := Check(dir + "/a")
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
}

func mkOwned(dir string, uid int) error {
	return firstErr(os.Mkdir(dir, 0o755), os.Chown(dir, uid, uid))
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// accessList lets user 4711 write, in the form of the kernel's
// posix_acl_xattr.h: a version, then tag, permissions and id of each entry.
const accessList = "\x02\x00\x00\x00" +
	"\x01\x00\x07\x00\xff\xff\xff\xff" + // the owner
	"\x02\x00\x07\x00\x67\x12\x00\x00" + // user 4711
	"\x04\x00\x05\x00\xff\xff\xff\xff" + // the group
	"\x10\x00\x07\x00\xff\xff\xff\xff" + // the mask
	"\x20\x00\x05\x00\xff\xff\xff\xff" // others

func TestAccessListsAreSeen(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	do(t, unix.Setxattr(dir, "system.posix_acl_access", []byte(accessList), 0))
	if err := Check(dir); err == nil {
		t.Error("a folder that another user may write by its access list is accepted")
	}
}

func TestAnEntryIsNoLink(t *testing.T) {
	dir := t.TempDir()
	do(t, os.Mkdir(dir+"/folder", 0o700), os.WriteFile(dir+"/file", nil, 0o600), os.Symlink("folder", dir+"/link"), syscall.Mkfifo(dir+"/pipe", 0o600))
	for name, fine := range map[string]bool{"folder": true, "file": true, "link": false, "pipe": false, "nothing": false} {
		if err := Entry(filepath.Join(dir, name)); (err == nil) != fine {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDevicesKeepNothing(t *testing.T) {
	if err := Check("/dev/null"); err != nil {
		t.Error(err)
	}
}

// Another user's own files are that user's; root's are fine, and a third
// user's are not.
func TestAsAnotherUser(t *testing.T) {
	if dir := os.Getenv("OWNED_TEST_DIR"); dir != "" {
		syscall.Umask(0o002)
		do(t, os.Mkdir(dir+"/mine", 0o777), Check(dir+"/mine"), Check("/etc"))
		if err := Check(dir + "/third"); err == nil {
			t.Error("a third user's folder is accepted")
		}
		return
	}
	asRoot(t)
	dir := t.TempDir()
	do(t, os.Chmod(filepath.Dir(dir), 0o755), mkOwned(dir+"/third", other+1), os.Chown(dir, other, other))
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestAsAnotherUser$")
	cmd.Dir, cmd.Env = dir, []string{"OWNED_TEST_DIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: other, Gid: other}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
