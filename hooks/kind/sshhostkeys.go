package kind

import (
	"slices"

	"github.com/gitboot/gitboot/hooks/check"
)

// SSHHostKeys writes the keys of the machine's SSH server.
type SSHHostKeys struct {
	// Types are ed25519, rsa and ecdsa; none means ed25519 and rsa.
	Types []string `key:"types" is:"key-type" default:"[\"ed25519\", \"rsa\"]" doc:"Kinds of keys."`
}

func (k *SSHHostKeys) Help() Help {
	return Help{
		Summary: "give the SSH server the same host keys at every boot",
		Text: `Generates the keys the first time and keeps them on the stage, readable by
root only; they are never in git. All images of the machine share them. Writes
/etc/ssh/ssh_host_TYPE_key (0600) and its .pub (0644) in OpenSSH's format.

types  any of ed25519, rsa (3072 bits) and ecdsa (P-256); ed25519 and rsa if
       they are left out

To change a key, remove its file from the stage's hook state and reconcile with
a changed hook or image.`,
	}
}

func (k *SSHHostKeys) Paths(string) (paths []string) {
	for _, typ := range k.Types {
		p := "/etc/ssh/ssh_host_" + typ + "_key"
		paths = append(paths, p, p+".pub")
	}
	return paths
}

func (k *SSHHostKeys) Complete(Machine) {
	if k.Types == nil {
		k.Types = []string{"ed25519", "rsa"}
	}
}

func (k *SSHHostKeys) Check() (ps check.Problems) {
	for i, typ := range k.Types {
		switch {
		case typ != "ed25519" && typ != "rsa" && typ != "ecdsa":
			ps.Add(typ, "is not a kind of key", "write one of ed25519, rsa, ecdsa", "types", i)
		case slices.Contains(k.Types[:i], typ):
			ps.Add(typ, "is listed twice", "remove one", "types", i)
		}
	}
	return ps
}
