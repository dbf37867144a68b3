package spec

import (
	"runtime"
	"strings"
	"testing"
)

// TestLoadIsLinear counts allocations, which unlike time are the same on a
// busy machine; BenchmarkLoad has the times.
func TestLoadIsLinear(t *testing.T) {
	load := func(machines int) float64 {
		fsys := big(machines, machines)
		return testing.AllocsPerRun(1, func() {
			if _, err := Load(t.Context(), fsys); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := load(400), load(4000); many > 10.5*few {
		t.Errorf("10 times the machines take %.1f times the allocations", many/few)
	}
}

func TestResolveTouchesOneMachine(t *testing.T) {
	resolve := func(machines int) float64 {
		f, err := Load(t.Context(), big(machines, machines))
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(3, func() {
			if _, err := f.Resolve(t.Context(), "m7"); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := resolve(100), resolve(1000); many > few {
		t.Errorf("10 times the machines take %.0f allocations instead of %.0f", many, few)
	}
}

// TestLoadKeepsWhatIsDeclared holds that what files say besides is not kept with it.
func TestLoadKeepsWhatIsDeclared(t *testing.T) {
	const machines, comment = 500, 16 << 10
	fsys := big(machines, 1)
	for name, file := range fsys {
		if name != RootFile {
			file.Data = append(file.Data, "#"+strings.Repeat("x", comment)+"\n"...)
		}
	}
	before := heap()
	fleet, err := Load(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	if kept := heap() - before; kept > machines*comment/2 {
		t.Errorf("%d bytes are kept of each machine", kept/machines)
	}
	runtime.KeepAlive(fleet)
	runtime.KeepAlive(fsys)
}

// heap is how much memory is in use.
func heap() int {
	var stats runtime.MemStats
	for range 2 { // what pools have is given up with the second
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
