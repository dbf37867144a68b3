package probe

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

const testUUID = "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a"

// TestIdentify asks the tools that make file systems for real ones.
func TestIdentify(t *testing.T) {
	for _, c := range []struct {
		args []string
		size int64
		want Filesystem
	}{
		{[]string{"mke2fs", "-q", "-F", "-t", "ext2", "-U", testUUID, "-L", "stage"}, 4 << 20, Filesystem{"ext2", testUUID, "stage"}},
		{[]string{"mke2fs", "-q", "-F", "-t", "ext3", "-U", testUUID, "-L", "stage"}, 8 << 20, Filesystem{"ext3", testUUID, "stage"}},
		{[]string{"mke2fs", "-q", "-F", "-t", "ext4", "-U", testUUID, "-L", "sixteen letters!"}, 8 << 20, Filesystem{"ext4", testUUID, "sixteen letters!"}},
		{[]string{"mkfs.xfs", "-q", "-f", "-m", "uuid=" + testUUID, "-L", "stage"}, 320 << 20, Filesystem{"xfs", testUUID, "stage"}},
		{[]string{"mkfs.btrfs", "-q", "-U", testUUID, "-L", "stage"}, 128 << 20, Filesystem{"btrfs", testUUID, "stage"}},
		{[]string{"mkfs.vfat", "-F", "32", "-i", "1234abcd", "-n", "STAGE"}, 64 << 20, Filesystem{"vfat", "1234-ABCD", "STAGE"}},
		{[]string{"mkfs.vfat", "-F", "16", "-i", "1234abcd"}, 16 << 20, Filesystem{"vfat", "1234-ABCD", ""}},
		{[]string{"cryptsetup", "-q", "luksFormat", "--uuid", testUUID, "--label", "stage", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "-d", "/dev/zero", "--keyfile-size", "8"}, 20 << 20, Filesystem{"crypto_LUKS", testUUID, "stage"}},
		{[]string{"cryptsetup", "-q", "luksFormat", "--uuid", testUUID, "--type", "luks1", "--pbkdf-force-iterations", "1000", "-d", "/dev/zero", "--keyfile-size", "8"}, 20 << 20, Filesystem{"crypto_LUKS", testUUID, ""}},
		{[]string{"mkfs.f2fs", "-q", "-U", testUUID, "-l", "stäge"}, 64 << 20, Filesystem{"f2fs", testUUID, "stäge"}},
	} {
		t.Run(strings.Join(c.args[:3], " "), func(t *testing.T) {
			need.Program(t, c.args[0])
			name := filepath.Join(t.TempDir(), "disk")
			f, err := os.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Truncate(c.size); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(c.args[0], append(c.args[1:], name)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got, ok := Identify(f); !ok || got != c.want {
				t.Errorf("it is %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestIdentifyNothing(t *testing.T) {
	for _, size := range []int{0, 100, 4096, 1 << 20} {
		if fs, ok := Identify(bytes.NewReader(make([]byte, size))); ok {
			t.Errorf("%d zeros are %+v", size, fs)
		}
	}
}

// mbr makes a disk with an MBR whose signature is 0x11223344.
func mbr() []byte {
	b := make([]byte, 64<<10)
	copy(b[440:], []byte{0x44, 0x33, 0x22, 0x11})
	b[510], b[511] = 0x55, 0xaa
	return b
}

func gpt(sector int) []byte {
	b := mbr()
	h := b[sector:]
	copy(h, "EFI PART")
	h[72], h[80], h[84] = 2, 128, 128 // table at sector 2, 128 entries of 128 bytes
	copy(b[2*sector+128+16:], []byte{0x52, 0x5b, 0x1f, 0x6d, 0x3a, 0x8c, 0x5e, 0x4f, 0x9a, 0x54, 0x0d, 0x8f, 0x6f, 0x1c, 0x2b, 0x3a})
	return b
}

func TestPartUUID(t *testing.T) {
	for _, c := range []struct {
		disk   []byte
		sector int64
		number int
		want   string
	}{
		{mbr(), 512, 2, "11223344-02"}, {gpt(512), 512, 2, "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a"},
		{gpt(4096), 4096, 2, "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a"}, {make([]byte, 4096), 512, 1, ""}, {nil, 512, 1, ""}, {mbr(), 512, 0, ""},
	} {
		if got := PartUUID(bytes.NewReader(c.disk), c.sector, c.number); got != c.want {
			t.Errorf("partition %d has %q, want %q", c.number, got, c.want)
		}
	}
}

func FuzzProbe(f *testing.F) {
	f.Add(gpt(512), int64(512), 2)
	f.Add(mbr(), int64(4096), 1)
	ext4 := make([]byte, 4096)
	ext4[1024+0x38], ext4[1024+0x39] = 0x53, 0xef
	f.Add(ext4, int64(0), -1)
	f.Fuzz(func(t *testing.T, disk []byte, sector int64, number int) {
		if fs, ok := Identify(bytes.NewReader(disk)); ok && (fs.Type == "" || fs.UUID == "") {
			t.Errorf("identified as %+v", fs)
		}
		PartUUID(bytes.NewReader(disk), sector, number)
	})
}
