package hooks

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/tests/need"
	"github.com/gitboot/gitboot/tests/squashed"
)

func renderBuiltin(t *testing.T, b kind.Builtin, change func(*Input)) (map[string]entry, error) {
	t.Helper()
	for _, s := range b.Set() {
		s.Complete(kind.Machine{Name: "laptop"})
	}
	in := Input{Machine: "laptop", Hooks: []kind.Hook{{Name: "h", Builtin: &b}}}
	if change != nil {
		change(&in)
	}
	e, _, err := renderInput(t, in)
	return e, err
}

func mustBuiltin(t *testing.T, b kind.Builtin, change func(*Input)) map[string]entry {
	t.Helper()
	e, err := renderBuiltin(t, b, change)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFstab(t *testing.T) {
	e := mustBuiltin(t, kind.Builtin{Fstab: &kind.Fstab{Mounts: []kind.Mount{
		{Device: "UUID=12-34", Path: "/srv/my files", Type: "ext4", Options: "nofail,x=\\", Pass: 2},
		{Device: "#odd ", Path: "/odd"},
		{Device: "LABEL=s", Path: "none", Type: "swap"}, {Device: "/swap", Path: "none", Type: "swap", Options: "pri=1"},
	}}}, nil)
	wantEntry(t, e, "/etc/fstab", `0 0644 0:0 # Written by gitboot, hook h. Changes are lost at the next boot.
UUID=12-34	/srv/my\040files	ext4	nofail,x=\134	0	2
\043odd\040	/odd	auto	defaults	0	0
LABEL=s	none	swap	defaults	0	0
/swap	none	swap	pri=1	0	0
`)
	file := filepath.Join(t.TempDir(), "fstab")
	if err := os.WriteFile(file, []byte(e["/etc/fstab"].content), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(need.Program(t, "findmnt"), "--tab-file", file, "-rno", "OPTIONS", "--target", "/srv/my files").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "nofail") {
		t.Errorf("findmnt reads %q, %v", out, err)
	}
	for _, m := range []kind.Mount{
		{Path: "/a"}, {Device: "x", Path: "/"}, {Device: "x", Path: "a"}, {Device: "x", Path: "/a/"}, {Device: "x", Path: ""},
		{Device: "x", Path: "none", Type: "ext4"}, {Device: "x\ny", Path: "/a"}, {Device: "x", Path: "/a", Options: "a\nb"},
		{Device: "x", Path: "/a", Pass: 3}, {Device: "x", Path: "/a", Dump: -1},
	} {
		_, err := renderBuiltin(t, kind.Builtin{Fstab: &kind.Fstab{Mounts: []kind.Mount{m}}}, nil)
		wantError(t, err, "mount[0]")
	}
	m := kind.Mount{Device: "x", Path: "/a"}
	_, err = renderBuiltin(t, kind.Builtin{Fstab: &kind.Fstab{Mounts: []kind.Mount{m, m}}}, nil)
	wantError(t, err, "mount[1]", "twice")
}

func TestHostname(t *testing.T) {
	e := mustBuiltin(t, kind.Builtin{Hostname: &kind.Hostname{Domain: "lan.example"}}, nil)
	wantEntry(t, e, "/etc/hostname", "0 0644 0:0 laptop\n")
	hosts := e["/etc/hosts"].content
	for _, line := range []string{"127.0.1.1\tlaptop.lan.example\tlaptop\n", "::1\tlocalhost ", "127.0.0.1\tlocalhost\n"} {
		if !strings.Contains(hosts, line) {
			t.Errorf("hosts lacks %q:\n%s", line, hosts)
		}
	}
	e = mustBuiltin(t, kind.Builtin{Hostname: &kind.Hostname{Name: "plain"}}, nil)
	if !strings.Contains(e["/etc/hosts"].content, "127.0.1.1\tplain\n") {
		t.Errorf("hosts is\n%s", e["/etc/hosts"].content)
	}
	for _, name := range []string{"a b", "-a", "a-", "a..b", "a_b", "ü", "a\nb", strings.Repeat("a", 65)} {
		_, err := renderBuiltin(t, kind.Builtin{Hostname: &kind.Hostname{Name: name}}, nil)
		wantError(t, err, "host name")
	}
}

func TestMachineID(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	e := mustBuiltin(t, kind.Builtin{MachineID: &kind.MachineID{Value: id}}, nil)
	wantEntry(t, e, "/etc/machine-id", "0 0444 0:0 "+id+"\n")
	wantEntry(t, e, "/var/lib/dbus/machine-id", "2 0777 0:0 /etc/machine-id")

	dir := filepath.Join(t.TempDir(), "state")
	state := func(in *Input) { in.StateDir = dir }
	first := mustBuiltin(t, kind.Builtin{MachineID: &kind.MachineID{}}, state)["/etc/machine-id"].content
	if wrong := kind.WrongMachineID(strings.TrimSuffix(first, "\n")); wrong != "" || first[12] != '4' {
		t.Errorf("generated %q: %s", first, wrong)
	}
	if again := mustBuiltin(t, kind.Builtin{MachineID: &kind.MachineID{}}, state)["/etc/machine-id"].content; again != first {
		t.Errorf("%q became %q", first, again)
	}
	for _, bad := range []string{id[1:], strings.ToUpper(id), strings.Repeat("0", 32), id + "0"} {
		_, err := renderBuiltin(t, kind.Builtin{MachineID: &kind.MachineID{Value: bad}}, nil)
		wantError(t, err, "machine id")
	}
	_, err := renderBuiltin(t, kind.Builtin{MachineID: &kind.MachineID{}}, nil)
	wantError(t, err, "stage")
}

func TestSSHHostKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	keys := kind.Builtin{SSHHostKeys: &kind.SSHHostKeys{}}
	e := mustBuiltin(t, keys, func(in *Input) { in.StateDir = dir })
	keys.SSHHostKeys.Types = []string{"ed25519", "rsa", "ecdsa"}
	again := mustBuiltin(t, keys, func(in *Input) { in.StateDir = dir })
	if again["/etc/ssh/ssh_host_rsa_key"].content != e["/etc/ssh/ssh_host_rsa_key"].content {
		t.Error("the key changed")
	}
	if _, ok := e["/etc/ssh/ssh_host_ecdsa_key"]; ok {
		t.Error("ecdsa is made unasked")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state is %v, %v", info, err)
	}
	for typ, want := range map[string]string{"ed25519": "256 ", "rsa": "3072 ", "ecdsa": "256 "} {
		name := "ssh_host_" + typ + "_key"
		checkHostKey(t, again["/etc/ssh/"+name], again["/etc/ssh/"+name+".pub"], want)
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("kept key is %v, %v", info, err)
		}
	}

	if err := os.WriteFile(filepath.Join(dir, "ssh_host_rsa_key"), []byte("SECRET cut short"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := renderBuiltin(t, keys, func(in *Input) { in.StateDir = dir })
	wantError(t, err, "ssh_host_rsa_key is damaged", "remove it")
	if strings.Contains(err.Error(), "SECRET") {
		t.Errorf("the error tells the key: %v", err)
	}
	_, err = renderBuiltin(t, kind.Builtin{SSHHostKeys: &kind.SSHHostKeys{Types: []string{"../dsa"}}}, nil)
	wantError(t, err, "../dsa", "ed25519")
}

// checkHostKey has OpenSSH read the private key and compare the public one.
func checkHostKey(t *testing.T, private, public entry, bits string) {
	t.Helper()
	if private.Mode != 0o600 || public.Mode != 0o644 {
		t.Errorf("modes are %04o and %04o", private.Mode, public.Mode)
	}
	tool := need.Program(t, "ssh-keygen")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(private.content), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "-y", "-f", file).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	if want := strings.TrimSpace(string(out)) + " root@laptop\n"; public.content != want {
		t.Errorf("public key is %q, want %q", public.content, want)
	}
	if out, err := exec.Command(tool, "-l", "-f", file).CombinedOutput(); err != nil || !strings.HasPrefix(string(out), bits) {
		t.Errorf("ssh-keygen -l: %q, %v", out, err)
	}
}

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here"

func TestAuthorizedKeys(t *testing.T) {
	users := kind.Builtin{AuthorizedKeys: &kind.AuthorizedKeys{Users: []kind.UserKeys{
		{User: "root", Keys: []string{publicKey, ` from="10.0.0.0/8" ` + publicKey + " "}},
		{User: "me", Owner: kind.Owner{UID: 1000, GID: 100}, Keys: []string{publicKey}},
		{User: "you", Owner: kind.Owner{UID: 1001}, Keys: []string{publicKey}},
		{User: "svc", Home: "/srv/svc", Owner: kind.Owner{UID: 5}, Keys: []string{publicKey}},
	}}}
	e := mustBuiltin(t, users, func(in *Input) { in.Root = image{} })
	wantEntry(t, e, "/root", "5 0700 0:0 ")
	wantEntry(t, e, "/root/.ssh", "5 0700 0:0 ")
	wantEntry(t, e, "/root/.ssh/authorized_keys", "0 0600 0:0 "+publicKey+"\nfrom=\"10.0.0.0/8\" "+publicKey+"\n")
	wantEntry(t, e, "/home", "5 0755 0:0 ")
	wantEntry(t, e, "/home/me", "5 0711 1000:100 ")
	wantEntry(t, e, "/home/me/.ssh", "5 0700 1000:100 ")
	wantEntry(t, e, "/home/me/.ssh/authorized_keys", "0 0600 1000:100 "+publicKey+"\n")
	wantEntry(t, e, "/home/you", "5 0700 1001:1001 ")
	wantEntry(t, e, "/srv/svc", "5 0700 5:5 ")

	for _, u := range []kind.UserKeys{
		{User: "me", Keys: []string{publicKey}}, {User: "../x", Owner: kind.Owner{UID: 1}}, {User: "", Owner: kind.Owner{UID: 1}}, {User: "me", Owner: kind.Owner{UID: -1}},
		{User: "me", Owner: kind.Owner{UID: 1}, Keys: []string{"not a key"}}, {User: "me", Owner: kind.Owner{UID: 1}, Keys: []string{publicKey + "\n" + publicKey}},
		{User: "me", Owner: kind.Owner{UID: 1}, Home: "home/me"},
	} {
		if _, err := renderBuiltin(t, kind.Builtin{AuthorizedKeys: &kind.AuthorizedKeys{Users: []kind.UserKeys{u}}}, nil); err == nil {
			t.Errorf("%+v: no error", u)
		}
	}
}

func TestResolvConf(t *testing.T) {
	e := mustBuiltin(t, kind.Builtin{ResolvConf: &kind.ResolvConf{
		Nameservers: []string{"192.0.2.1", "fe80::1%eth0"}, Search: []string{"a.example", "b"}, Options: []string{"edns0"},
	}}, nil)
	want := "nameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch a.example b\noptions edns0\n"
	if got := e["/etc/resolv.conf"].content; !strings.HasSuffix(got, "boot.\n"+want) {
		t.Errorf("resolv.conf is\n%s", got)
	}
	e = mustBuiltin(t, kind.Builtin{ResolvConf: &kind.ResolvConf{Link: "../run/x"}}, nil)
	wantEntry(t, e, "/etc/resolv.conf", "2 0777 0:0 ../run/x")
	for _, bad := range []kind.ResolvConf{
		{Nameservers: []string{"ns.example"}}, {Search: []string{"a b"}}, {Options: []string{""}}, {Search: []string{"a\nb"}},
		{Link: "/x", Search: []string{"a"}},
	} {
		if _, err := renderBuiltin(t, kind.Builtin{ResolvConf: &bad}, nil); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestOneBuiltin(t *testing.T) {
	_, err := renderBuiltin(t, kind.Builtin{}, nil)
	wantError(t, err, "0 built-ins")
	_, err = renderBuiltin(t, kind.Builtin{Hostname: &kind.Hostname{}, MachineID: &kind.MachineID{}}, nil)
	wantError(t, err, "2 built-ins")
}

// TestSquash has the program that makes layers take ours.
func TestSquash(t *testing.T) {
	_, out, err := renderInput(t, Input{Machine: "m", Hooks: []kind.Hook{
		{Name: "host", Builtin: &kind.Builtin{Hostname: &kind.Hostname{Name: "host"}}},
		{Name: "run", Run: []kind.Script{sh("mkdir -p $GITBOOT_OUT/a/b; mkfifo $GITBOOT_OUT/a/p; ln -s x $GITBOOT_OUT/a/l")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	layer, err := out.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	squashed.File(t, layer)
}

func TestRunCapabilities(t *testing.T) {
	need.Root(t)
	need.Program(t, "setcap")
	e, _, err := runScripts(t, sh("cd $GITBOOT_OUT; echo x >ping; chmod 755 ping; setcap cap_net_raw+ep ping"))
	if err != nil {
		t.Fatal(err)
	}
	if e["/ping"].PAXRecords["SCHILY.xattr.security.capability"] == "" {
		t.Errorf("the capability is lost: %v", e["/ping"].Header)
	}
	if fs.FileMode(e["/ping"].Mode) != 0o755 {
		t.Errorf("mode is %o", e["/ping"].Mode)
	}
}

// TestEveryBuiltin holds that what can be declared can be rendered.
func TestEveryBuiltin(t *testing.T) {
	for _, name := range kind.Names() {
		b, _ := kind.New(name)
		if _, err := renderBuiltin(t, b, func(in *Input) { in.StateDir = t.TempDir() }); err != nil && strings.Contains(err.Error(), "cannot be rendered") {
			t.Error(err)
		}
	}
}
