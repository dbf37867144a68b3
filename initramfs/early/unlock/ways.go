package unlock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/initramfs/early/console"
	"github.com/gitboot/gitboot/initramfs/early/tpm"
)

const (
	// tries is how often somebody may type something wrong.
	tries = 3
	// maxKeyFile is cryptsetup's.
	maxKeyFile = 8 << 20
	// keyDir is where the key file's disk is mounted for as long as it is read.
	keyDir = "/run/gitboot-key"
)

// byPassphrase asks for one on the consoles.
func (v *volume) byPassphrase(ctx context.Context) ([]byte, error) {
	return v.ask(ctx, "Passphrase", func(typed []byte) ([]byte, error) { return v.try(ctx, typed, nil) })
}

// ask asks until what is typed leads to a key, a few times.
func (v *volume) ask(ctx context.Context, what string, use func(typed []byte) ([]byte, error)) ([]byte, error) {
	until, cancel := context.WithTimeoutCause(ctx, v.timeout(), fmt.Errorf("nobody typed it within %v", v.timeout()))
	defer cancel()
	v.Load("i8042", "atkbd", "usbhid", "hid_generic") // others come with their buses
	go v.Attend(until)
	question := fmt.Sprintf("%s for the disk %s (%s): ", what, v.path, v.header.UUID)
	before := ""
	for left := tries - 1; ; left-- {
		typed, err := console.Ask(until, before+question, func(keyboard string) { v.Say("the keyboard %q is there", keyboard) })
		if err != nil {
			return nil, err
		}
		key, err := use(typed)
		clear(typed)
		if err == nil || left == 0 || !errors.Is(err, luks.ErrPassphrase) && !errors.Is(err, tpm.ErrPIN) {
			return key, err
		}
		before = fmt.Sprintf("That was wrong: %s; tries left: %d. ", strings.ReplaceAll(err.Error(), "\n", ", "), left)
	}
}

// byKeyFile reads it from a file on another disk, all of it.
func (v *volume) byKeyFile(ctx context.Context) ([]byte, error) {
	device, err := v.Find("the key file's device", v.How.KeyFile.Device)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(keyDir, 0o700); err != nil {
		return nil, err
	}
	if err := device.Mount(keyDir, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC); err != nil {
		return nil, err
	}
	data, err := readKey(filepath.Join(keyDir, v.How.KeyFile.Path))
	defer clear(data)
	if err = errors.Join(err, unix.Unmount(keyDir, unix.MNT_DETACH), os.Remove(keyDir)); err != nil {
		return nil, fmt.Errorf("reading the key file: %w", err)
	}
	return v.try(ctx, data, nil)
}

func readKey(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = fmt.Errorf("it has more than %d MiB", maxKeyFile>>20)
	}
	return data, err
}

// chipWait is how long a TPM may take to be there after its driver.
const chipWait = 5 * time.Second

// byTPM has the TPM give out what is sealed, for one token after another.
func (v *volume) byTPM(ctx context.Context) ([]byte, error) {
	tokens := v.sealed()
	if len(tokens) == 0 {
		return nil, tpm.ErrNone
	}
	v.Load("tpm_crb", "tpm_tis")
	chip, err := openChip(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the TPM: %w", err)
	}
	defer chip.Close()
	var problems []error
	for _, token := range tokens {
		key, err := v.byToken(ctx, chip, token)
		if err == nil {
			return key, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

// openChip waits for the TPM to be there. It is not opened by os.OpenFile, which would
// have reads not wait: the kernel answers those with nothing while the TPM works.
func openChip(ctx context.Context) (*os.File, error) {
	end := time.Now().Add(chipWait)
	for {
		fd, err := unix.Open(tpm.Device, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), tpm.Device), nil
		}
		if !errors.Is(err, os.ErrNotExist) || time.Now().After(end) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (v *volume) byToken(ctx context.Context, chip io.ReadWriter, token luks.Token) ([]byte, error) {
	sealed, err := tpm.Parse(token.JSON)
	if err != nil {
		return nil, err
	}
	use := func(pin []byte) ([]byte, error) {
		var auth []byte
		if sealed.PIN {
			if auth, err = sealed.Auth(pin); err != nil {
				return nil, err
			}
		}
		secret, err := sealed.Unseal(chip, auth)
		if err != nil {
			return nil, err
		}
		defer clear(secret)
		passphrase := tpm.Passphrase(secret)
		defer clear(passphrase)
		return v.try(ctx, passphrase, token.Slots)
	}
	if !sealed.PIN {
		return use(nil)
	}
	return v.ask(ctx, "PIN", use)
}
