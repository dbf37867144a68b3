package initramfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/gitboot/gitboot/rootfs"
)

// RecoveryDir is where gitboot-rescue finds its files.
const RecoveryDir = "etc/gitboot"

// A Recovery is what the initramfs of a recovery entry carries besides: all that is
// needed to let people in and have them repair the machine.
type Recovery struct {
	// Rescue and Gitboot are the paths of these programs on this machine.
	Rescue, Gitboot string
	// Shell is the path of a static busybox on this machine, for images that have
	// none; "" for none.
	Shell string
	// Files are those of RecoveryDir, by name.
	Files map[string][]byte
	// Certificates are those of whom servers' are trusted by, nil for none.
	Certificates []byte
}

// maxCertificates is how large a file of them may be; Mozilla's is of 220 KB.
const maxCertificates = 4 << 20

// Certificates are those that an image has of whom servers' certificates are trusted
// by, where distributions and crypto/x509 have them; nil if it has none.
func Certificates(tree *rootfs.Tree) ([]byte, error) {
	for _, name := range []string{certificatesPath, "etc/pki/tls/certs/ca-bundle.crt", "etc/ssl/ca-bundle.pem", "etc/ssl/cert.pem"} {
		data, err := tree.ReadFile(name, maxCertificates)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return nil, nil
}

// certificatesPath is where crypto/x509 looks first.
const certificatesPath = "etc/ssl/certs/ca-certificates.crt"

// decides is what tells two of them apart. The programs do not: a recovery entry
// that works is not made anew for newer ones.
func (r *Recovery) decides() map[string]string {
	sums := map[string]string{}
	for name, data := range r.Files {
		sum := sha256.Sum256(data)
		sums[name] = hex.EncodeToString(sum[:])
	}
	return sums
}

// network are the folders of wired interfaces' drivers. Wireless ones would need
// firmware and a password.
var network = []string{
	"kernel/drivers/net/ethernet/", "kernel/drivers/net/usb/", "kernel/drivers/net/virtio_net", "kernel/drivers/net/vmxnet3/",
	"kernel/drivers/net/hyperv/", "kernel/drivers/net/xen-netfront", "kernel/drivers/net/mdio/", "kernel/drivers/net/phy/",
}

// outOfPlace are what a driver of a wired interface does not need.
var outOfPlace = []string{"kernel/drivers/infiniband/", "kernel/drivers/net/wireless/", "kernel/drivers/net/wwan/", "kernel/drivers/target/", "kernel/drivers/media/", "kernel/drivers/gpu/"}

// recovery is a small system of its own, in memory.
func recovery(r *Recovery) feature {
	return feature{
		name:    "the recovery entry",
		wanted:  []string{"af_packet", "ipv6", "virtio_net"},
		drivers: network, unwanted: outOfPlace,
		options: []string{"CONFIG_NET", "CONFIG_INET", "CONFIG_PACKET", "CONFIG_UNIX98_PTYS"},
		add:     r.add,
	}
}

func (r *Recovery) add(_ *rootfs.Tree, a *archive) error {
	for name, file := range map[string]string{"bin/gitboot-rescue": r.Rescue, "bin/gitboot": r.Gitboot} {
		if err := addProgram(a, name, file); err != nil {
			return err
		}
	}
	if err := r.addShell(a); err != nil {
		return err
	}
	for name, data := range r.Files {
		a.file(path.Join(RecoveryDir, name), 0o600, data)
	}
	if r.Certificates != nil {
		a.file(certificatesPath, 0o644, r.Certificates)
	}
	a.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	a.file("etc/group", 0o644, []byte("root:x:0:\n"))
	a.dir("tmp")
	return nil
}

// addShell carries this machine's busybox where the image has none.
func (r *Recovery) addShell(a *archive) error {
	if a.has(busyboxPath) {
		return nil
	}
	if r.Shell == "" {
		return fmt.Errorf("neither the image nor this machine has a static /bin/busybox, without which there is no shell; install busybox-static in either")
	}
	if err := addProgram(a, busyboxPath, r.Shell); err != nil {
		return err
	}
	a.symlink("bin/sh", "busybox")
	return nil
}

// addProgram carries a program of this machine, which is read when it is written.
func addProgram(a *archive, name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read the program %s: %w", path.Base(name), err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the program %s: %w", path.Base(name), err)
	}
	if !isStatic(f) {
		return fmt.Errorf("%s is no program that runs without libraries; install a static one", file)
	}
	a.stream(name, 0o755, info.Size(), func(w io.Writer) error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyN(w, f, info.Size())
		return err
	})
	return nil
}
