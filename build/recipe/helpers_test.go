package recipe

import (
	"testing"
)

func prepare(t *testing.T, r Recipe) *Prepared {
	t.Helper()
	r.Name = "test"
	p, err := Prepare(r)
	if err != nil {
		t.Fatal(err)
	}
	if problems := NewChecker(r.FS).Check(r); len(problems) > 0 {
		t.Errorf("what can be prepared is refused: %v", problems)
	}
	return p
}

// refused returns what is wrong with a recipe, which must be the same when it
// is checked as when it is prepared.
func refused(t *testing.T, r Recipe) string {
	t.Helper()
	r.Name = "x"
	_, err := Prepare(r)
	checked := NewChecker(r.FS).Check(r)
	if err == nil {
		t.Errorf("%+v is prepared", r)
		return ""
	}
	if want := "render image \"x\": " + checked.Error(); err.Error() != want {
		t.Errorf("refused when prepared: %v\nwhen checked: %v", err, checked)
	}
	return checked.Error()
}
