package hooks

import (
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
)

func users(t *testing.T, root map[string]string, all ...kind.Users) map[string]entry {
	t.Helper()
	in := Input{Root: imageOf(t, root)}
	for i := range all {
		all[i].Complete(kind.Machine{})
		in.Hooks = append(in.Hooks, kind.Hook{Name: "h", Builtin: &kind.Builtin{Users: &all[i]}})
	}
	return mustRender(t, in)
}

// An image made from next to nothing has no users at all, and a second hook
// finds what the first one added.
func TestUsersOfNoImage(t *testing.T) {
	ada := kind.Users{Users: []kind.User{{Name: "ada", UID: 1000}}}
	bob := kind.Users{Users: []kind.User{{Name: "bob", UID: 1001, Groups: []string{"ada"}, Home: "/home/ada/bob"}}}
	e := users(t, map[string]string{"/bin/sh": ""}, ada, bob)
	wantEntry(t, e, "/etc/passwd", "0 0644 0:0 ada:x:1000:1000::/home/ada:/bin/sh\nbob:x:1001:1001::/home/ada/bob:/bin/sh\n")
	wantEntry(t, e, "/etc/group", "0 0644 0:0 ada:x:1000:bob\nbob:x:1001:\n")
	wantEntry(t, e, "/etc/shadow", "0 0600 0:0 ada:*::0:99999:7:::\nbob:*::0:99999:7:::\n")
	wantEntry(t, e, "/home/ada", "5 0700 1000:1000 ")
	if _, ok := e["/etc/gshadow"]; ok {
		t.Error("there is a gshadow that nobody asked for")
	}
}

// What is there stays as it is, with a line that nobody understands too.
func TestUsersOfAnImage(t *testing.T) {
	e := users(t, map[string]string{
		"/etc/passwd": "root:x:0:0:the root:/root:/bin/ash\nada:x:1000:100:Ada:/home/ada:/bin/ash\n+\n",
		"/etc/group":  "shadow:x:42:\nusers:x:100:\nwheel:x:10:root\n", "/etc/shadow": "ada:old:1:2:3:4:5:6:\n",
		"/home/ada/x": "",
	}, kind.Users{Users: []kind.User{{Name: "ada", UID: 1000, GID: 100, Groups: []string{"wheel", "users"}, Shell: "/bin/sh"}, {Name: "root"}}})
	wantEntry(t, e, "/etc/passwd", "0 0644 0:0 root:x:0:0:the root:/root:/bin/ash\nada:x:1000:100:Ada:/home/ada:/bin/sh\n+\n")
	wantEntry(t, e, "/etc/group", "0 0644 0:0 shadow:x:42:\nusers:x:100:ada\nwheel:x:10:root,ada\nroot:x:0:\n")
	wantEntry(t, e, "/etc/shadow", "0 0640 0:42 ada:old:1:2:3:4:5:6:\nroot:*::0:99999:7:::\n")
	if _, ok := e["/home/ada"]; ok {
		t.Error("a home that is there is made again")
	}
}

func TestNetworkBackends(t *testing.T) {
	lan := kind.Network{Interfaces: []kind.Interface{{MAC: "52:54:00:12:34:56"}}}
	lan.Complete(kind.Machine{})
	render := func(files map[string]string) (map[string]entry, error) {
		n := lan
		e, _, err := renderInput(t, Input{Root: imageOf(t, files), Hooks: []kind.Hook{{Name: "h", Builtin: &kind.Builtin{Network: &n}}}})
		return e, err
	}
	const daemon, unit = "/usr/lib/systemd/systemd-networkd", "/usr/lib/systemd/system/systemd-networkd.service"
	e, err := render(map[string]string{daemon: "", unit: "[Install]\nWantedBy=multi-user.target\n"})
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, e, "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "2 0777 0:0 "+unit)
	wantEntry(t, e, "/etc/systemd/network/10-gitboot-h-525400123456.network", "0 0644 0:0 "+generated("h")+"\n[Match]\nMACAddress=52:54:00:12:34:56\nType=ether\n\n[Network]\nDHCP=yes\n")
	_, err = render(map[string]string{"/usr/sbin/ifup": "", daemon: "", unit: ""})
	wantError(t, err, "ifupdown", "knows interfaces by name only")
	_, err = render(map[string]string{"/etc/x": ""})
	wantError(t, err, "neither NetworkManager, systemd-networkd nor ifupdown")
	lan.Backend = "NetworkManager"
	_, err = render(map[string]string{daemon: ""})
	wantError(t, err, "the image has no NetworkManager")

	lan = kind.Network{Interfaces: []kind.Interface{{Name: "eth0", Addresses: []string{"192.0.2.1/24", "192.0.2.2/24"}}}}
	e, err = render(map[string]string{"/sbin/ifup": ""}) // as Alpine has it
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, e, "/etc/network/interfaces", "0 0644 0:0 auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n")
	wantEntry(t, e, "/etc/network/interfaces.d/gitboot-h", "0 0644 0:0 "+generated("h")+"\nauto eth0\niface eth0 inet static\n\taddress 192.0.2.1/24\niface eth0 inet static\n\taddress 192.0.2.2/24\n")
}
