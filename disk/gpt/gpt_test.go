package gpt

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

const mib = 1 << 20

var sample = Table{UUID: "01234567-89ab-8def-8123-456789abcdef", Partitions: []Partition{
	{Type: "21686148-6449-6e6f-744e-656564454649", UUID: "11234567-89ab-8def-8123-456789abcdef", Name: "bios", Start: mib, Length: mib},
	{Type: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", UUID: "21234567-89ab-8def-8123-456789abcdef", Name: "esp", Start: 2 * mib, Length: 8 * mib, Grow: true},
}}

// What is written has no fault for sgdisk, and is what sfdisk and Read see.
func TestWrite(t *testing.T) {
	const size = 12 * mib
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("boot"), 0); err != nil {
		t.Fatal(err)
	}
	if err := sample.Write(f, size); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sgdisk", "-v", f.Name()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("%v: %s", err, out)
	}
	out, err = exec.Command("sfdisk", "--dump", f.Name()).CombinedOutput()
	for _, want := range []string{
		"label-id: 01234567-89AB-8DEF-8123-456789ABCDEF", "start=        2048, size=        2048, type=21686148-6449-6E6F-744E-656564454649",
		`start=        4096, size=       16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=21234567-89AB-8DEF-8123-456789ABCDEF, name="esp"`,
	} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("want %s: %v\n%s", want, err, out)
		}
	}
	got, err := Read(f, size)
	if err != nil || got.UUID != sample.UUID || !slices.Equal(got.Partitions, sample.Partitions) {
		t.Errorf("%+v, %v", got, err)
	}
	code := make([]byte, 4)
	if _, err := f.ReadAt(code, 0); err != nil || string(code) != "boot" {
		t.Errorf("the boot code is %q now", code)
	}
}

// Firmware that knows no GPT finds a partition by the MBR, and so do others; sgdisk finds no
// fault, and what was read is written as it was.
func TestMBR(t *testing.T) {
	need.Programs(t, "sgdisk", "sfdisk", "partx")
	const size = 12 * mib
	shown := Table{UUID: sample.UUID, Partitions: slices.Clone(sample.Partitions)}
	shown.Partitions[1].MBR = true
	disk := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.Truncate(size), shown.Write(f, size)); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"No problems found": {"sgdisk", "-v", disk},
		"   2            4096           20479   8.0 MiB     EF00  esp":    {"sgdisk", "-p", disk},
		"disk1 : start=        4096, size=       16384, type=c, bootable": {"sfdisk", "--label-nested", "dos", "--dump", disk},
		"NR START   END SECTORS SIZE NAME UUID\n":                         {"partx", "--show", disk},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: want %q: %v\n%s", args, want, err, out)
		}
	}
	got, err := Read(f, size)
	if err != nil || !slices.Equal(got.Partitions, shown.Partitions) {
		t.Errorf("%+v, %v", got, err)
	}
	if fat, err := ReadMBR(f); err != nil || len(fat.Partitions) != 1 || fat.Partitions[0].Start != 2*mib || fat.Partitions[0].Length != 8*mib {
		t.Errorf("%+v, %v", fat, err)
	}
	for i := range 4 {
		shown.Partitions = append(shown.Partitions, shown.Partitions[1])
		if err := shown.Write(discard{}, size); (err != nil) != (i > 1) {
			t.Errorf("with %d in the MBR: %v", i+2, err)
		}
	}
}

// A table with room for more partitions is read as well: media's are.
func TestRoomier(t *testing.T) {
	need.Program(t, "sgdisk")
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, make([]byte, 4*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sgdisk", "--resize-table=248", "--new=248:1M:2M", disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := Read(f, 4*mib)
	if err != nil || len(got.Partitions) != 1 || got.Partitions[0].Start != mib {
		t.Errorf("%+v, %v", got, err)
	}
}

// What cannot be is refused.
func TestRefused(t *testing.T) {
	beyond := sample
	beyond.Partitions = []Partition{{Type: sample.UUID, UUID: sample.UUID, Start: mib, Length: 11 * mib}}
	odd := Table{UUID: "no"}
	long := Table{UUID: sample.UUID, Partitions: []Partition{{Type: sample.UUID, UUID: sample.UUID, Start: mib, Length: mib, Name: strings.Repeat("x", 37)}}}
	for _, table := range []Table{beyond, odd, long} {
		if err := table.Write(discard{}, 12*mib); err == nil {
			t.Errorf("%+v was written", table)
		}
	}
}

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// Whatever is on a disk, reading it ends with a table within the disk, or an error.
func FuzzRead(f *testing.F) {
	var disk memory = make([]byte, 4*mib)
	small := sample
	small.Partitions = small.Partitions[:1]
	if err := small.Write(disk, int64(len(disk))); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(disk[:34*Sector]))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		const size = 4 * mib
		got, err := Read(bytes.NewReader(append(data, make([]byte, 34*Sector)...)), size)
		if err != nil {
			return
		}
		for _, p := range got.Partitions {
			if p.Start < 0 || p.Length <= 0 || p.Start+p.Length > size {
				t.Errorf("%+v", p)
			}
		}
	})
}

type memory []byte

func (m memory) WriteAt(p []byte, at int64) (int, error) {
	if n := copy(m[at:], p); n < len(p) {
		return n, io.ErrShortWrite
	}
	return len(p), nil
}
