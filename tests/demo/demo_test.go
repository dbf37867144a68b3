package main

import (
	"os"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// The demo is what people see first, so it is run as they run it.
func TestDemo(t *testing.T) {
	lab.RequireMachines(t)
	d, err := newDemo(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.run(t.Context(), t.Output(), d.steps()); err != nil {
		t.Fatal(err)
	}
}
