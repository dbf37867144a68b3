package wanted

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// What was read of a revision is not read again, whether it was good or is refused;
// the next commit is.
func TestKnown(t *testing.T) {
	dir := t.TempDir()
	git, err := lab.NewRepo(t.Context(), filepath.Join(dir, "repo"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	r := &Repo{
		Source:  source.Options{URL: git.Dir, Dir: filepath.Join(dir, "clone"), Log: log},
		Machine: "laptop", Log: log, Now: time.Now,
	}
	commit := func(config string) {
		t.Helper()
		if err := git.Write("gitboot.toml", config); err != nil {
			t.Fatal(err)
		}
		if _, err := git.Commit(t.Context(), "config"); err != nil {
			t.Fatal(err)
		}
	}
	const good = "[image.a]\npull = \"r.lan/a:1\"\n[machine.laptop]\nimages = [\"a\"]\n"
	for what, c := range map[string]struct {
		config string
		final  bool
	}{
		"good":                {good, false},
		"not valid":           {"[image.a]\npull = \"A\"\n", true},
		"of no machine of it": {"[image.a]\npull = \"a\"\n[machine.other]\nimages = [\"a\"]\n", true},
		"of another machine":  {good + "machine_id = \"0123456789abcdef0123456789abcdef\"\n", true},
	} {
		commit(c.config)
		r.Known = nil
		first, wrong := r.Read(t.Context(), "")
		if (wrong != nil) != c.final || first.Revision.Hash == "" {
			t.Fatalf("%s: %v", what, wrong)
		}
		told := &Wanted{Revision: first.Revision, Wants: &spec.Wants{Machine: "what was read before"}, refused: first.refused}
		r.Known = told
		again, err := r.Read(t.Context(), "")
		if again.Wants != told.Wants || !errors.Is(err, wrong) && !c.final || (err == nil) == c.final {
			t.Errorf("%s: read again: %+v, %v", what, again.Wants, err)
		}
		commit(c.config + "# the next commit\n")
		next, _ := r.Read(t.Context(), "")
		if next.Wants == told.Wants || next.Revision.Hash == first.Revision.Hash {
			t.Errorf("%s: the next commit is not read", what)
		}
	}
}
