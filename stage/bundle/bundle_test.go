package bundle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
	"github.com/gitboot/gitboot/tests/need"
	"github.com/gitboot/gitboot/tests/staged"
)

func TestExportAndImport(t *testing.T) {
	ctx := t.Context()
	from, to := staged.New(t), staged.New(t)
	m := staged.Manifest(t, from, "one", "two")
	id := staged.Publish(t, from, m)
	var carried, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&carried, &again} {
		if err := Export(ctx, from, id, w, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(carried.Bytes(), again.Bytes()) {
		t.Error("two exports differ")
	}
	staged.File(t, to, "one")
	got, err := Import(ctx, to, bytes.NewReader(carried.Bytes()), anything, nil)
	if err != nil || got != id {
		t.Fatalf("imported %s, %v", got, err)
	}
	if found, err := damage.Find(ctx, to, 0, nil); err != nil || len(found) > 0 {
		t.Errorf("found %v, %v", found, err)
	}
}

func anything(string, *deployment.Manifest) error { return nil }

// What is refused for what its manifest says is not read any further.
func TestImportKeepsNothingOfWhatIsRefused(t *testing.T) {
	from, to := staged.New(t), staged.New(t)
	var carried bytes.Buffer
	if err := Export(t.Context(), from, staged.Publish(t, from, staged.Manifest(t, from, "one")), &carried, nil); err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("no")
	_, err := Import(t.Context(), to, &carried, func(string, *deployment.Manifest) error { return refusal }, nil)
	if !errors.Is(err, refusal) {
		t.Errorf("import: %v", err)
	}
	if got := slices.Concat(files(t, to, "deployments"), files(t, to, "objects/sha256")); got != nil {
		t.Errorf("left %v", got)
	}
}

func TestImportRefuses(t *testing.T) {
	ctx := t.Context()
	from := staged.New(t)
	m := staged.Manifest(t, from, "one", "two")
	var carried bytes.Buffer
	if err := Export(ctx, from, staged.Publish(t, from, m), &carried, nil); err != nil {
		t.Fatal(err)
	}
	good := carried.Bytes()
	for name, data := range map[string][]byte{
		"nothing":          nil,
		"a cut file":       good[:len(good)-3000],
		"a flipped layer":  bytes.Replace(good, []byte("two\x00"), []byte("tWo\x00"), 1),
		"a flipped kernel": bytes.Replace(good, []byte("kernel\x00"), []byte("kErnel\x00"), 1),
		"another manifest": bytes.Replace(good, []byte(`"6.1"`), []byte(`"6.2"`), 1),
		"no tar":           bytes.Repeat([]byte("x"), 4096),
	} {
		t.Run(name, func(t *testing.T) {
			to := staged.New(t)
			if id, err := Import(ctx, to, bytes.NewReader(data), anything, nil); err == nil {
				t.Errorf("imported %s", id)
			}
			if got := slices.Concat(files(t, to, "deployments"), files(t, to, "tmp"), files(t, to, "objects/sha256")); got != nil {
				t.Errorf("left %v", got)
			}
		})
	}
}

func TestExportFindsDamage(t *testing.T) {
	s := staged.New(t)
	m := staged.Manifest(t, s, "one")
	id := staged.Publish(t, s, m)
	if err := os.WriteFile(s.ObjectPath(m.Layers[0]), []byte("One"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Export(t.Context(), s, id, &bytes.Buffer{}, nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v", err)
	}
}

func TestImportOnAFullStage(t *testing.T) {
	from, to := staged.New(t), staged.In(t, smallDisk(t))
	m := staged.Manifest(t, from, strings.Repeat("layer", 1<<20))
	var carried bytes.Buffer
	if err := Export(t.Context(), from, staged.Publish(t, from, m), &carried, nil); err != nil {
		t.Fatal(err)
	}
	_, err := Import(t.Context(), to, &carried, anything, nil)
	var full *stage.NoSpaceError
	if !errors.As(err, &full) || full.Need != total(m.Objects()) {
		t.Errorf("error %v", err)
	}
}

// smallDisk is a file system of its own, of two MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	need.Root(t)
	point := t.TempDir()
	if err := unix.Mount("tmpfs", point, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(point, 0); err != nil {
			t.Error(err)
		}
	})
	return point
}

// files lists what is below a folder of the stage.
func files(t *testing.T, st *stage.Stage, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(st.Dir(), folder))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
