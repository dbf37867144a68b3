package cut

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// A state is mounted as what it is from a device whose number was that of one of several
// devices, too, while other states are mounted, which have its UUID. Without being told to
// forget, btrfs takes it for the missing one.
func TestForget(t *testing.T) {
	need.Root(t)
	need.Programs(t, "mkfs.btrfs", "btrfs")
	dir, f := inMemory(t), filesystems[2]
	image := func(name string) *os.File {
		i, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { i.Close() })
		if err := i.Truncate(f.size); err != nil {
			t.Fatal(err)
		}
		return i
	}
	run := func(args ...string) {
		t.Helper()
		if _, err := lab.Run(t.Context(), args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	one, other, state, another := image("one"), image("other"), image("state"), image("another")
	run("mkfs.btrfs", "-q", "-f", one.Name(), other.Name())
	run(append(f.mkfs, state.Name())...)
	run("cp", state.Name(), another.Name())
	for _, point := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, point), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := f.mounted(another, filepath.Join(dir, "a"), func() error {
		for { // until nobody else has taken the number
			seen, err := attach(one)
			if err != nil {
				return err
			}
			run("btrfs", "device", "scan", seen.Name())
			seen.Close()
			device, err := attach(state)
			if err != nil {
				return err
			}
			if device.Name() == seen.Name() {
				defer device.Close()
				return f.mountedFrom(device, filepath.Join(dir, "b"), func() error { return nil })
			}
			device.Close()
		}
	})
	if err != nil {
		t.Error(err)
	}
}
