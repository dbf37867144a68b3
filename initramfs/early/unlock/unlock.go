// Package unlock opens an encrypted disk at boot: it comes to a passphrase in the ways
// that are declared, finds the key of the disk's data with it (package luks), and has
// the kernel decrypt what is read (package dm).
//
// Neither a passphrase nor a key is ever logged. They are cleared when they are done
// with, as far as Go lets them be: the kernel frees the initramfs's process as a whole
// when it becomes the image's init.
package unlock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
	"github.com/gitboot/gitboot/initramfs/early/tpm"
	"github.com/gitboot/gitboot/internal/dm"
)

// An Opener opens encrypted disks.
type Opener struct {
	How deployment.Unlock
	// Say tells people what goes on; it never tells a secret.
	Say func(format string, a ...any)
	// Find waits for another disk to come, and has its file system's driver loaded.
	Find func(what, name string) (blockdev.Device, error)
	// Load loads modules that the kernel has, if it has them.
	Load func(names ...string)
	// Attend loads drivers for devices that come, keyboards among them, until a
	// context ends.
	Attend func(ctx context.Context)
}

// A volume is one encrypted disk.
type volume struct {
	*Opener
	path   string
	disk   *os.File
	header *luks.Header
}

// Open opens the disk with a device's header and returns the path of what it becomes.
func (o *Opener) Open(ctx context.Context, device blockdev.Device) (path string, err error) {
	disk, err := os.Open(device.Path)
	if err != nil {
		return "", fmt.Errorf("opening the encrypted disk: %w", err)
	}
	defer disk.Close()
	header, err := luks.Read(disk)
	if err != nil {
		return "", fmt.Errorf("opening the encrypted disk %s: %w", device.Path, err)
	}
	v := volume{Opener: o, path: device.Path, disk: disk, header: header}
	key, err := v.key(ctx)
	if err != nil {
		return "", fmt.Errorf("opening the encrypted disk %s: %w", device.Path, err)
	}
	defer clear(key)
	return v.decrypt(key)
}

// sealed are the passphrases that a TPM gives out.
func (v *volume) sealed() (tokens []luks.Token) {
	for _, t := range v.header.Tokens {
		if t.Type == tpm.TokenType {
			tokens = append(tokens, t)
		}
	}
	return tokens
}

// key finds the data's key, by the first way that leads to it.
func (v *volume) key(ctx context.Context) ([]byte, error) {
	var problems []error
	for _, way := range v.How.Order(len(v.sealed()) > 0) {
		by := v.byPassphrase
		switch way {
		case deployment.UnlockTPM2:
			by = v.byTPM
		case deployment.UnlockKeyFile:
			by = v.byKeyFile
		}
		key, err := by(ctx)
		if err == nil {
			v.Say("the encrypted disk %s is opened by %s", v.path, way)
			return key, nil
		}
		v.Say("the encrypted disk %s is not opened by %s: %v", v.path, way, err)
		problems = append(problems, fmt.Errorf("by %s: %w", way, err))
	}
	return nil, errors.Join(problems...)
}

// try tries a passphrase on key slots, all if there are none given. It takes no longer
// than somebody at the console would have.
func (v *volume) try(ctx context.Context, passphrase []byte, slots []string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, v.timeout(), errors.New("deriving the key takes too long"))
	defer cancel()
	memory, err := available()
	if err != nil {
		return nil, err
	}
	return v.header.Unlock(ctx, v.disk, luks.Try{Passphrase: passphrase, Slots: slots, Memory: memory})
}

func (o *Opener) timeout() time.Duration {
	if o.How.Timeout > 0 {
		return time.Duration(o.How.Timeout) * time.Second
	}
	return deployment.UnlockTimeout * time.Second
}

// available is how much memory may be taken, in bytes.
func available() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) > 1 && words[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(words[1], 10, 53)
			return luks.Share(kib << 10), err
		}
	}
	return 0, errors.New("/proc/meminfo does not say how much memory is free")
}

// decrypt has the kernel decrypt the data.
func (v *volume) decrypt(key []byte) (string, error) {
	d, h := v.header.Data, v.header
	v.Load("dm_mod", "dm_crypt")
	control, err := dm.Open()
	if err != nil {
		return "", err
	}
	defer control.Close()
	size := d.Size
	if size == 0 {
		end, err := v.disk.Seek(0, io.SeekEnd)
		if err != nil {
			return "", fmt.Errorf("asking how large %s is: %w", v.path, err)
		}
		size = end - d.Offset
	}
	// as systemd and udev name what they open, so that they know it for what it is
	name := "luks-" + h.UUID
	return control.Decrypt(dm.Crypt{
		Name: name, UUID: fmt.Sprintf("CRYPT-LUKS%d-%s-%s", h.Version, strings.ReplaceAll(h.UUID, "-", ""), name),
		Device: v.path, Offset: d.Offset, Size: size, Tweak: d.Tweak, Cipher: d.Cipher, Sector: d.Sector, Options: d.Options,
	}, key)
}
