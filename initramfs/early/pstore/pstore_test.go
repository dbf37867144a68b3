package pstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Dumps come in the order in which they were made, each from its last part on; what is
// none of a kernel that ended stays where it is.
func TestRead(t *testing.T) {
	dir := folder(t, map[string]string{
		"dmesg-efi-170000000001001": "Oops#1 Part1\n<1>[   10.000000] BUG: first\n",
		"dmesg-efi-170000000002002": "Panic#2 Part2\n<6>[   11.000000] a <b> c\n",
		"dmesg-efi-170000000001002": "Panic#2 Part1\n<0>[   12.000000] Kernel panic - not syncing: x",
		"dmesg-efi-1.enc.z":         "\x78\x9c\x00Panic#9",
		"dmesg-ramoops-5":           "Shutdown#7 Part1\n<6>[   13.000000] bye\n",
		"dmesg-ramoops-6":           "",
		"console-ramoops-0":         "Panic#1 Part1\n[    1.0] console\n",
	})
	at := time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, "dmesg-efi-170000000001002"), at, at); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dmesg-efi-170000000001001", "dmesg-efi-170000000002002"} {
		if err := os.Chtimes(filepath.Join(dir, name), at, at.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dmesg-folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	crash, files, err := Read(dir)
	if err != nil || len(files) != 3 || !crash.At.Equal(at) {
		t.Fatalf("%q at %v, %v", files, crash.At, err)
	}
	if want := "[   10.000000] BUG: first\n[   11.000000] a <b> c\n[   12.000000] Kernel panic - not syncing: x\n"; crash.Text != want {
		t.Errorf("%q", crash.Text)
	}
	if err := Remove(files); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 5 {
		t.Errorf("%v are left, %v", left, err)
	}
	if _, files, err := Read(dir); err != nil || len(files) > 0 {
		t.Errorf("%q are found again, %v", files, err)
	}
}

// Whatever lies there, it is read within bounds.
func TestReadIsBounded(t *testing.T) {
	files := map[string]string{}
	for n := range maxFiles + 50 {
		files[fmt.Sprintf("dmesg-erst-%04d", n)] = fmt.Sprintf("Panic#1 Part%d\n", n) + strings.Repeat("x", 2*maxPart)
	}
	crash, read, err := Read(folder(t, files))
	if err != nil || len(read) != maxFiles || len(crash.Text) > maxFiles*(maxPart+1) {
		t.Errorf("%d files, %d bytes, %v", len(read), len(crash.Text), err)
	}
	data, err := deployment.Boot{ID: "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d", Crash: crash.Text}.Encode()
	if err != nil || len(data) > 2*deployment.MaxBootLog {
		t.Errorf("a record of it has %d bytes, %v", len(data), err)
	}
}
