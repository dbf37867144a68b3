package integrity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
)

var noon = time.Date(2026, time.November, 26, 12, 0, 0, 0, time.UTC)

// A time that has come is told, also one that was missed; a new stage has a day.
func TestNext(t *testing.T) {
	last := Look{Ended: noon.Add(-30 * time.Hour)}
	for what, c := range map[string]struct {
		when string
		last Look
		want time.Time
	}{
		"off":         {Off, last, time.Time{}},
		"no schedule": {"x", last, time.Time{}},
		"never was":   {Weekly, Look{}, noon.Add(24 * time.Hour)},
		"each hour":   {"0 * * * *", Look{Ended: noon.Add(-time.Minute)}, noon},
		"on Sunday":   {Weekly, last, time.Date(2026, time.November, 29, 0, 0, 0, 0, time.UTC)},
	} {
		if got := Next(c.when, c.last, noon); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

// What is found is noted, and marked once.
func TestVerify(t *testing.T) {
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := st.AddFile(t.Context(), strings.NewReader("an object"))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return noon }
	for i, want := range []struct{ damage, marked int }{{0, 0}, {1, 1}, {1, 0}} {
		if i == 1 {
			if err := os.WriteFile(st.ObjectPath(o), []byte("AN OBJECT"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		look, err := Verify(t.Context(), st.Dir(), Pace, now, nil)
		if err != nil || len(look.Damage) != want.damage || look.Marked != want.marked {
			t.Errorf("look %d: %+v %v", i, look, err)
		}
		if last := Last(st.Dir()); !last.Ended.Equal(noon) || len(last.Damage) != want.damage {
			t.Errorf("look %d is noted as %+v", i, last)
		}
	}
	if !st.Damaged(o) {
		t.Error("it is not marked")
	}
}

// What a boot has come across is noted once: what has taken its place since is another.
func TestHeed(t *testing.T) {
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := st.AddFile(t.Context(), strings.NewReader("layer"))
	if err != nil {
		t.Fatal(err)
	}
	b := deployment.Boot{ID: "00000000-0000-4000-8000-000000000001", Deployment: strings.Repeat("d", 64), Damaged: []string{o.SHA256, strings.Repeat("0", 64)}}
	if err := os.Mkdir(filepath.Join(st.Dir(), deployment.BootsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Heed(st, []deployment.Boot{b}); err != nil || !st.Damaged(o) {
		t.Fatalf("damaged: %t, %v", st.Damaged(o), err)
	}
	b, err = deployment.ReadBoot(st.Dir(), b.ID)
	if err != nil || len(b.Unmarked()) > 0 {
		t.Fatalf("%+v, %v", b, err)
	}
	if _, err := damage.Mark(st, nil); err != nil { // it was read whole
		t.Fatal(err)
	}
	if err := Heed(st, []deployment.Boot{b}); err != nil || st.Damaged(o) {
		t.Errorf("again: %t, %v", st.Damaged(o), err)
	}
}
