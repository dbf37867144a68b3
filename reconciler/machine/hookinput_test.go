package machine

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

const everyKindOfHook = `
[image.desktop]
pull = "registry.lan/desktop:one"
[machine.laptop]
machine_id = "0123456789abcdef0123456789abcdef"
images = ["desktop"]
vars = { share = "nas:/srv media" }
hooks = ["files", "scripts", "disks", "hostname", "name", "machine-id", "ssh-host-keys", "ssh", "logins", "dns", "stub", "fstab", "resolv-conf", "authorized-keys"]

[[hook.files.file]]
path = "/etc/plain"
content = "plain\n"
[[hook.files.file]]
path = "/etc/rendered"
template = "{{ .Machine.Name }} {{ .Image.Tag }}\n"
mode = "4750"
owner = "1000:1001"
[[hook.files.file]]
path = "/etc/localtime"
link = "/usr/share/zoneinfo/Europe/Berlin"
[[hook.files.file]]
path = "/usr/local/bin/tool"
source = "tool.sh"

[[hook.scripts.run]]
source = "tool.sh"
timeout = "90s"
env = { A = "{{ .Image.Name }}" }
[[hook.scripts.at_boot]]
name = "first"
content = "#!/bin/sh\n"

[[hook.disks.fstab.mount]]
device = "UUID=1"
path = "/home"
type = "ext4"
options = "noatime"
dump = 1
pass = 2
[[hook.disks.fstab.mount]]
device = "{{ .Vars.share }}"
path = "/srv/media"
[[hook.disks.fstab.mount]]
device = "/dev/sda2"
path = "none"
type = "swap"

[hook.name.hostname]
name = "box"
domain = "example.org"

[hook.ssh.ssh-host-keys]
types = ["ed25519", "ecdsa"]

[[hook.logins.authorized-keys.user]]
user = "root"
sources = ["keys.pub"]
[[hook.logins.authorized-keys.user]]
user = "ada"
owner = "1000:1000"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM7cf+3+aGHIb3EW7IWGs2jgdpu2PFvJYDodeKWpOvDX ada"]

[hook.dns.resolv-conf]
nameservers = ["192.0.2.1", "2001:db8::1"]
search = ["example.org"]
options = ["ndots:2"]
[hook.stub.resolv-conf]
link = "/run/systemd/resolve/stub-resolv.conf"
`

func everyKind(t *testing.T) hooks.Input {
	t.Helper()
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM7cf+3+aGHIb3EW7IWGs2jgdpu2PFvJYDodeKWpOvDX ada\n"
	fleet, err := spec.Load(t.Context(), fstest.MapFS{
		"gitboot.toml": {Data: []byte(everyKindOfHook)},
		"tool.sh":      {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
		"keys.pub":     {Data: []byte("# whose\n\n" + key), Mode: fs.FileMode(0o644)},
	})
	if err != nil {
		t.Fatal(err)
	}
	wants, err := fleet.Resolve(t.Context(), "laptop")
	if err != nil {
		t.Fatal(err)
	}
	in := (&Machine{Name: "laptop", Stage: &stage.Stage{Layout: stage.Layout(t.TempDir())}}).HookInput(wants.Images[0])
	in.TempDir = t.TempDir()
	return in
}

// A key or an output that changes stages a new generation on every machine.
func TestHooksStayWhatTheyAre(t *testing.T) {
	in := everyKind(t)
	const key = "9ff1583d1c0e96276a9b60362c75d6b1359071a1f769df92e775034ec7b895a1"
	if got := hooks.Key(in); got != key {
		t.Errorf("key is %s, was %s", got, key)
	}
	in.Hooks = in.Hooks[:0]
	const none = "b4973f6ef51329bea8525ff1221ab8bf7d1f7110f747272d364156902d8fe70a"
	if got := hooks.Key(in); got != none {
		t.Errorf("the key of no hooks is %s, was %s", got, none)
	}
	in = everyKind(t)
	for i := range in.Hooks {
		if b := in.Hooks[i].Builtin; b != nil && b.SSHHostKeys != nil {
			in.Hooks[i].Builtin = nil // generated once, so never the same
		}
	}
	out, err := hooks.Render(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	const output = "sha256:d81deaca615b2fec65134e7cfcded4dabda2a09fa9b86070a688cd06f49b6572"
	if out.DiffID != output {
		t.Errorf("output is %s, was %s", out.DiffID, output)
	}
}
