package medium

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/piece"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const mib = 1 << 20

// What is told of a disk gives the same disk where the medium's files are, though they
// lie elsewhere then.
func TestRoundTrip(t *testing.T) {
	stage, temp := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(stage, "object"), []byte("0123456789"), 0o600))
	other := filepath.Join(temp, "module")
	must(t, os.WriteFile(other, []byte("abcdef"), 0o600))
	disk := &piece.Disk{Size: 4 * mib, Table: gpt.Table{UUID: "01234567-89ab-8def-8123-456789abcdef"}}
	disk.Text(0, []byte("boot"))
	disk.File(mib, filepath.Join(stage, "object"), 3, 4)
	disk.File(2*mib, other, 1, 3)
	disk.Zeros(3*mib, mib)
	var rest bytes.Buffer
	doc := Document{Machine: "laptop"}
	must(t, doc.Write(t.Context(), disk, stage, &rest))
	data, err := json.Marshal(doc)
	must(t, err)

	medium := t.TempDir()
	must(t, os.Mkdir(filepath.Join(medium, "install"), 0o700))
	must(t, os.Rename(filepath.Join(stage, "object"), filepath.Join(medium, "object")))
	must(t, os.Remove(other))
	must(t, os.WriteFile(filepath.Join(medium, DocumentFile), data, 0o600))
	must(t, os.WriteFile(filepath.Join(medium, PiecesFile), rest.Bytes(), 0o600))
	read, err := Read(medium)
	must(t, err)
	out, err := os.Create(filepath.Join(temp, "disk"))
	must(t, err)
	defer out.Close()
	must(t, read.Disk(medium).Fill(t.Context(), out, func(int64) {}))
	for at, want := range map[int64]string{0: "boot", mib: "3456", 2 * mib: "bcd", 3 * mib: "\x00\x00"} {
		got := make([]byte, len(want))
		if _, err := out.ReadAt(got, at); err != nil || string(got) != want {
			t.Errorf("at %d there is %q, want %q: %v", at, got, want, err)
		}
	}
}

// FuzzParse holds that whatever a stranger's medium says, what is written lies on the
// disk, and comes from the medium.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`{"version": 1, "size": 399507456, "pieces": [{"at": 0, "size": 1, "file": "../../etc/shadow"}]}`,
		`{"version": 1, "size": 399507456, "pieces": [{"at": 9223372036854775807, "size": 1, "file": "a"}]}`,
		`{"version": 1, "size": 399507456, "pieces": [{"at": 1, "size": 399507455, "file": "a/b", "from": 5}], "table": {"Partitions": [{"Start": 1048576, "Length": 9223372036854775807}]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parse(data)
		if err != nil {
			return
		}
		for _, p := range d.Disk("/medium").Pieces {
			if p.At < 0 || p.Size < 0 || p.At+p.Size > d.Size || p.From < 0 {
				t.Fatalf("%+v of a disk of %d", p, d.Size)
			}
			if rel, err := filepath.Rel("/medium", p.File); p.File != "" && (err != nil || !filepath.IsLocal(rel)) {
				t.Fatalf("%+v is no file of the medium", p)
			}
		}
		for _, p := range d.Table.Partitions {
			if p.Start+p.Length > d.Size || p.Length <= 0 {
				t.Fatalf("%+v of a disk of %d", p, d.Size)
			}
		}
	})
}
