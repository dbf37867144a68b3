package hooks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/lab"
)

// A system is a real Debian: as layers that hooks look into, and unpacked, for
// its own programs to read what hooks made.
type system struct {
	dir  string
	root *rootfs.Tree
}

func newSystem(t *testing.T) *system {
	t.Helper()
	archive, err := lab.RootFS(t.Context(), lab.BookwormServices)
	if err != nil {
		t.Fatal(err)
	}
	s := &system{dir: t.TempDir()}
	must(t, "tar", "-xf", archive, "-C", s.dir)
	content, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	s.root = squash(t, bytes.NewBuffer(content))
	return s
}

func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// do runs one of the system's programs in it.
func (s *system) do(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, "chroot", append([]string{s.dir, "env", "-i", "LANG=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, args...)...)
}

// put renders built-ins, each as a hook, and unpacks their layer.
func (s *system) put(t *testing.T, all ...kind.Builtin) {
	t.Helper()
	in := Input{Machine: "laptop", Root: s.root, TempDir: t.TempDir()}
	for i := range all {
		for _, settings := range all[i].Set() {
			settings.Complete(kind.Machine{Name: "laptop"})
		}
		in.Hooks = append(in.Hooks, kind.Hook{Name: fmt.Sprintf("h%d", i), Builtin: &all[i]})
	}
	out, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for p := range readLayer(t, out) {
		if dir, name := filepath.Split(p); strings.HasPrefix(name, ".wh.") {
			if err := os.RemoveAll(filepath.Join(s.dir, dir, strings.TrimPrefix(name, ".wh."))); err != nil {
				t.Fatal(err)
			}
		}
	}
	layer, err := out.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tar", "-x", "--keep-directory-symlink", "--exclude=.wh.*", "-C", s.dir)
	cmd.Stdin = layer
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("unpack the hooks' layer: %v: %s", err, msg)
	}
}

// TestConsumers has the programs that the files are for read them.
func TestConsumers(t *testing.T) {
	s := newSystem(t)
	t.Run("units", func(t *testing.T) { testUnits(t, s) })
	t.Run("users", func(t *testing.T) { testUsers(t, s) })
	t.Run("settings", func(t *testing.T) { testSettings(t, s) })
	t.Run("networkd", func(t *testing.T) { testNetworkd(t, s) })
	t.Run("NetworkManager", func(t *testing.T) { testNetworkManager(t, s) })
	t.Run("ifupdown", func(t *testing.T) { testIfupdown(t, s) })
}

// testUnits compares our links with those that systemctl makes and removes.
func testUnits(t *testing.T, s *system) {
	units := kind.Units{
		Enable:  []string{"systemd-networkd.service", "getty@.service", "serial-getty@ttyS0.service", "ctrl-alt-del.target", "debug-shell.service"},
		Disable: []string{"fstrim.timer", "NetworkManager.service", "getty@tty1.service", "apt-daily.timer"},
		Mask:    []string{"systemd-timesyncd.service", "sleep.target"},
	}
	other := t.TempDir()
	for _, dir := range []string{"etc/systemd", "usr/lib/systemd", "usr/bin", "usr/sbin"} {
		if err := os.MkdirAll(filepath.Join(other, filepath.Dir(dir)), 0o755); err != nil {
			t.Fatal(err)
		}
		must(t, "cp", "-a", filepath.Join(s.dir, dir), filepath.Join(other, dir))
	}
	if err := os.Symlink("usr/lib", filepath.Join(other, "lib")); err != nil {
		t.Fatal(err)
	}
	// In our order: what is disabled may be enabled again.
	for _, step := range [][]string{append([]string{"disable"}, units.Disable...), append([]string{"mask"}, units.Mask...), append([]string{"enable"}, units.Enable...)} {
		must(t, "systemctl", append([]string{"--root=" + other}, step...)...)
	}
	s.put(t, kind.Builtin{Units: &units})
	got, want := unitLinks(t, s.dir), unitLinks(t, other)
	if !slices.Equal(got, want) {
		t.Errorf("we made\n%s\nsystemctl made\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// A first boot applies presets, and must not change anything.
	must(t, "systemctl", "--root="+s.dir, "preset", "fstrim.timer", "systemd-networkd.service")
	if again := unitLinks(t, s.dir); !slices.Equal(again, got) {
		t.Errorf("presets made\n%s\nof\n%s", strings.Join(again, "\n"), strings.Join(got, "\n"))
	}
}

// unitLinks lists what is enabled, whether below /lib or /usr/lib.
func unitLinks(t *testing.T, root string) (links []string) {
	t.Helper()
	dir := filepath.Join(root, "etc/systemd/system")
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink {
			return err
		}
		target, err := os.Readlink(p)
		links = append(links, strings.TrimPrefix(p, dir)+" -> "+strings.TrimPrefix(target, "/usr"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func testUsers(t *testing.T, s *system) {
	complaints := func() []string {
		var all []string
		for _, tool := range []string{"pwck", "grpck"} {
			out, _ := exec.Command("chroot", s.dir, tool, "-r").CombinedOutput()
			all = append(all, strings.Split(string(out), "\n")...)
		}
		return all
	}
	before := complaints()
	hash := strings.TrimSpace(must(t, "openssl", "passwd", "-6", "-salt", "salt", "secret"))
	s.put(t, kind.Builtin{Users: &kind.Users{
		Groups: []kind.Group{{Name: "media", GID: 2000}},
		Users: []kind.User{
			{Name: "ada", UID: 1000, Groups: []string{"sudo", "media"}, Shell: "/bin/bash", Comment: "Ada Lovelace", PasswordHash: hash, Keys: []string{publicKey}},
			{Name: "svc", UID: 1001, GID: 100, Home: "/srv/svc"},
			{Name: "root", Keys: []string{publicKey}, PasswordHash: hash},
		},
	}})
	for _, line := range complaints() {
		if !slices.Contains(before, line) {
			t.Errorf("pwck or grpck says: %s", line)
		}
	}
	for _, c := range []struct{ command, want string }{
		{"id ada", "uid=1000(ada) gid=1000(ada) groups=1000(ada),27(sudo),2000(media)"},
		{"id svc", "uid=1001(svc) gid=100(users) groups=100(users)"},
		{"getent passwd ada", "ada:x:1000:1000:Ada Lovelace:/home/ada:/bin/bash"},
		{"getent passwd root", "root:x:0:0:root:/root:/bin/bash"},
		{"getent shadow ada", "ada:" + hash + "::0:99999:7:::"},
		{"getent gshadow media", "media:!::ada"},
		{"passwd -S ada", "ada P "}, {"passwd -S svc", "svc L "}, {"passwd -S root", "root P "},
		{"stat -c %a:%U:%G /etc/shadow /etc/gshadow /etc/passwd", "640:root:shadow\n640:root:shadow\n644:root:root"},
		{"stat -c %a:%U:%G /home/ada /home/ada/.bashrc /home/ada/.ssh/authorized_keys /srv/svc", "700:ada:ada\n644:ada:ada\n600:ada:ada\n700:svc:users"},
		{"grep ada /etc/subuid", "ada:100000:65536"}, {"grep svc /etc/subgid", "svc:165536:65536"},
	} {
		if got := s.do(t, strings.Fields(c.command)...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.command, got, c.want)
		}
	}
	for _, bad := range []struct {
		users kind.Users
		want  string
	}{
		{kind.Users{Users: []kind.User{{Name: "daemon", UID: 1000}}}, "another number"},
		{kind.Users{Users: []kind.User{{Name: "eve", UID: 33}}}, "number 33 is \"www-data\"'s"},
		{kind.Users{Users: []kind.User{{Name: "eve", UID: 1000, Groups: []string{"wheel"}}}}, `no group "wheel"`},
		{kind.Users{Groups: []kind.Group{{Name: "audio", GID: 2000}}}, "another number"},
		{kind.Users{Groups: []kind.Group{{Name: "mine", GID: 27}}}, `"sudo"'s`},
	} {
		bad.users.Complete(kind.Machine{})
		_, _, err := renderInput(t, Input{Root: s.root, Hooks: []kind.Hook{{Name: "h", Builtin: &kind.Builtin{Users: &bad.users}}}})
		wantError(t, err, bad.want)
	}
}

func testSettings(t *testing.T, s *system) {
	s.put(t,
		kind.Builtin{Sysctl: &kind.Sysctl{Set: []string{"vm.swappiness = 7", "-no.such.thing=1"}}},
		kind.Builtin{Modules: &kind.Modules{Load: []string{"br_netfilter"}, Blacklist: []string{"pcspkr"}, Options: []string{"snd_hda_intel power_save=1"}}},
		kind.Builtin{Timezone: &kind.Timezone{Zone: "America/St_Johns"}},
		kind.Builtin{Locale: &kind.Locale{Lang: "C.UTF-8", Set: []string{"LC_TIME=POSIX"}}},
	)
	if err := os.WriteFile(filepath.Join(s.dir, "etc/sysctl.conf"), []byte("vm.swappiness = 99\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := s.do(t, "/lib/systemd/systemd-sysctl", "--cat-config")
	if last := strings.LastIndex(config, "vm.swappiness"); last < 0 || !strings.HasPrefix(config[last:], "vm.swappiness = 7\n") {
		t.Errorf("systemd-sysctl reads %s", config)
	}
	modprobe := s.do(t, "modprobe", "-c")
	for _, line := range []string{"\nblacklist pcspkr\n", "\noptions snd_hda_intel power_save=1\n"} {
		if !strings.Contains(modprobe, line) {
			t.Errorf("modprobe does not read %q", line)
		}
	}
	if got := s.do(t, "date", "-d", "2026-01-01 12:00 UTC", "+%Z %H:%M"); got != "NST 08:30\n" {
		t.Errorf("the time is %q", got)
	}
	if got := s.do(t, "cat", "/etc/timezone"); got != "America/St_Johns\n" {
		t.Errorf("timezone is %q", got)
	}
	if got := s.do(t, "sh", "-c", ". /etc/default/locale; . /etc/locale.conf; echo $LANG $LC_TIME"); got != "C.UTF-8 POSIX\n" {
		t.Errorf("locale is %q", got)
	}
	_, _, err := renderInput(t, Input{Root: s.root, Hooks: []kind.Hook{{Name: "h", Builtin: &kind.Builtin{Timezone: &kind.Timezone{Zone: "Europe/Berln"}}}}})
	wantError(t, err, `did you mean "Berlin"?`)
}

func lan(backend string) kind.Builtin {
	return kind.Builtin{Network: &kind.Network{Backend: backend, Interfaces: []kind.Interface{
		{Name: "lan0", MAC: "52:54:00:12:34:56", Addresses: []string{"192.0.2.10/24", "2001:db8::10/64"}, Gateways: []string{"192.0.2.1", "2001:db8::1"},
			DNS: []string{"9.9.9.9", "2620:fe::fe"}, Search: []string{"example.org"}, MTU: 1400},
		{Name: "wan0"},
	}}}
}

// testNetworkd has systemd-networkd configure an interface of a network of its
// own, as far as its log says that it understood everything.
func testNetworkd(t *testing.T, s *system) {
	s.put(t, lan("systemd-networkd"))
	if _, err := os.Lstat(filepath.Join(s.dir, "etc/systemd/system/multi-user.target.wants/systemd-networkd.service")); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	const script = `ip link add lan0 type veth peer name wan0 && mount -t proc proc $1/proc && mount -t sysfs -o ro sysfs $1/sys &&
mount -t tmpfs tmpfs $1/run && SYSTEMD_LOG_LEVEL=debug exec chroot $1 /usr/lib/systemd/systemd-networkd 2>&1`
	cmd := exec.CommandContext(ctx, "unshare", "-n", "-m", "sh", "-c", "exec 2>&1; "+script, "sh", s.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	missing := []string{
		"lan0: Requesting static address (n/a): 192.0.2.10/24", "lan0: Requesting static address (n/a): 2001:db8::10/64",
		"gw: 192.0.2.1,", "gw: 2001:db8::1,", "lan0: Requested to set MTU", "wan0: Requested configuring of the DHCPv4 client",
	}
	var line string
	for log := bufio.NewScanner(out); len(missing) > 0 && log.Scan(); {
		line = log.Text()
		missing = slices.DeleteFunc(missing, func(want string) bool { return strings.Contains(line, want) })
		if strings.Contains(line, "gitboot") && (strings.Contains(line, "nknown") || strings.Contains(line, "gnoring") || strings.Contains(line, "nvalid")) {
			t.Errorf("networkd says: %s", line)
		}
	}
	stop()
	io.Copy(io.Discard, out)
	cmd.Wait()
	if len(missing) > 0 {
		t.Errorf("networkd did not say %q; its last words: %s", missing, line)
	}
}

// testNetworkManager has nmcli read the keyfile and write what it understood.
func testNetworkManager(t *testing.T, s *system) {
	s.put(t, lan("")) // the image has it, and so it comes first
	read := func(name string) string {
		file := filepath.Join(s.dir, "etc/NetworkManager/system-connections/gitboot-h0-"+name+".nmconnection")
		info, err := os.Stat(file)
		if err != nil || info.Mode() != 0o600 {
			t.Fatalf("%s: %v, %v", name, info, err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("chroot", s.dir, "nmcli", "--offline", "connection", "modify", "connection.autoconnect-priority", "1")
		cmd.Stdin = bytes.NewReader(content)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("nmcli: %v: %s", err, out)
		}
		return string(out)
	}
	got := read("lan0")
	for _, line := range []string{
		"interface-name=lan0", "mtu=1400", "address1=192.0.2.10/24,192.0.2.1", "dns=9.9.9.9;", "dns-search=example.org;", "method=manual",
		"address1=2001:db8::10/64,2001:db8::1", "dns=2620:fe::fe;",
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("nmcli does not read %q in\n%s", line, got)
		}
	}
	if got := read("wan0"); strings.Count(got, "method=auto\n") != 2 {
		t.Errorf("nmcli reads\n%s", got)
	}
}

func testIfupdown(t *testing.T, s *system) {
	s.put(t, lan("ifupdown"))
	all := s.do(t, "ifquery", "--list", "--allow", "auto")
	if got := strings.Fields(all); !slices.Contains(got, "lan0") || !slices.Contains(got, "wan0") {
		t.Errorf("ifquery lists %q", all)
	}
	got := s.do(t, "ifquery", "lan0")
	for _, line := range []string{"address: 192.0.2.10", "netmask: 255.255.255.0", "gateway: 192.0.2.1", "mtu: 1400", "address: 2001:db8::10", "netmask: 64", "gateway: 2001:db8::1", "dns-nameservers: 9.9.9.9 2620:fe::fe"} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("ifquery does not read %q in\n%s", line, got)
		}
	}
	link, err := os.ReadFile(filepath.Join(s.dir, "etc/systemd/network/10-gitboot-h0-lan0.link"))
	if err != nil || !strings.Contains(string(link), "MACAddress=52:54:00:12:34:56\n\n[Link]\nName=lan0\n") {
		t.Errorf("link is %s, %v", link, err)
	}
}
