// Package recovery makes a machine's recovery entry: a deployment that needs nothing
// but its kernel and initramfs, once, of an image that is whole.
package recovery

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/kernel"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rescue/folder"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// Programs are those of this machine that a recovery entry carries.
type Programs struct {
	// Rescue is gitboot-rescue, "" if that is not installed, Gitboot this program.
	Rescue, Gitboot string
	// Shell is a static busybox, "" for none.
	Shell string
}

// A Maker makes recovery entries.
type Maker struct {
	Stage    *stage.Stage
	Progress progress.Sink
	Programs
	// Init is gitboot-init.
	Init string
	// Assembly is what the stage is on.
	Assembly deployment.Assembly
}

// Key tells what a recovery entry is to be, on a stage that is on something; "" if none
// is declared.
func Key(want *spec.Recovery, on deployment.Assembly) string {
	if want == nil {
		return ""
	}
	var decides any = want
	if on != "" {
		decides = []any{want, on.Kinds()}
	}
	data, err := json.Marshal(decides)
	if err != nil {
		panic(err) // strings alone
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Make makes a recovery entry's deployment of the kernel that a glob names among
// the layers of one that is staged.
func (m Maker) Make(ctx context.Context, want *spec.Recovery, from *deployment.Manifest, glob string) (r state.Recovery, err error) {
	options := initramfs.Options{Init: m.Init, Assembles: m.Assembly.Kinds(), Recovery: &initramfs.Recovery{Rescue: m.Rescue, Gitboot: m.Gitboot, Shell: m.Shell}}
	if m.Rescue == "" {
		return r, errors.New("find gitboot-rescue beside gitboot or in ../lib/gitboot: not there; install it with `make install`, or name it with rescue in agent.toml")
	}
	if options.Recovery.Files, err = files(want); err != nil {
		return r, err
	}
	if len(want.SSHKeys) > 0 {
		if err := keepHostKey(m.Stage.Secrets()); err != nil {
			return r, err
		}
	}
	tree, err := inventory.OpenTree(m.Stage, from.Layers)
	if err != nil {
		return r, err
	}
	defer tree.Close()
	found, err := initramfs.FindKernel(tree, glob)
	if err != nil {
		return r, err
	}
	made, err := kernel.Add(ctx, m.Stage, tree, found, options, m.Progress)
	if err != nil {
		return r, err
	}
	r = state.Recovery{Image: from.Image, Kernel: made.Version, Key: Key(want, m.Assembly)}
	r.Deployment, err = m.Stage.Publish(&deployment.Manifest{
		Version: deployment.Version, Image: from.Image, Kernel: made.Kernel, Initramfs: made.Initramfs, KernelVersion: made.Version,
		KernelArgs: want.Console, Layers: []deployment.Object{}, Recovery: true,
	})
	return r, err
}

// keepHostKey makes the host key that ssh knows the entry by, unless there is one: the
// hook ssh-host-keys keeps the machine's own there.
func keepHostKey(secrets string) error {
	path := filepath.Join(secrets, folder.KeptHostKey)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(secrets, 0o700); err != nil {
		return err
	}
	return durable.WriteFile(path, pem.EncodeToMemory(block), 0o600)
}

// files are what gitboot-rescue finds of what is declared.
func files(want *spec.Recovery) (map[string][]byte, error) {
	network, err := json.Marshal(folder.Network{Interface: want.Interface, Address: want.Address, Gateway: want.Gateway, Nameservers: want.Nameservers})
	if err != nil {
		return nil, fmt.Errorf("say how the network is reached: %w", err)
	}
	out := map[string][]byte{folder.NetworkFile: network}
	if len(want.SSHKeys) > 0 {
		out[folder.Keys] = []byte(strings.Join(want.SSHKeys, "\n") + "\n")
	}
	return out, nil
}
