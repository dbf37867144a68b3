package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const (
	tried = "1111111111111111"
	other = "2222222222222222"
)

func document() *state.Machine {
	doc := &state.Machine{Machine: "laptop", Mode: boot.ModeManaged, Order: []string{"desktop"}, Images: map[string]*state.Image{
		"desktop": {Generations: []state.Generation{{N: 1, Deployment: other}, {N: 2, Deployment: tried}}},
	}}
	doc.Judge(other, state.Verdict{Image: "desktop", State: boot.Good, Since: noon})
	doc.Judge(tried, state.Verdict{Image: "desktop", State: boot.Trying, Since: noon, Left: 3})
	return doc
}

// crashed is a boot whose kernel could say how it ended.
func crashed(b deployment.Boot) deployment.Boot {
	b.Reason, b.Crash = "", "[    1.0] fine\n[    2.0] Kernel panic - not syncing: VFS\n[    2.1] CPU: 0\n"
	return b
}

func TestJudge(t *testing.T) {
	entry := boot.EntryID("desktop", tried)
	record := func(verdict string, after time.Duration) deployment.Boot {
		return deployment.Boot{ID: "b", Deployment: tried, Trying: true, Started: noon.Add(after), Verdict: verdict, Reason: "no network", Log: "eth0: gone"}
	}
	counted := func(left int) boot.Memory { return boot.Memory{Trying: entry, Left: left} }
	for what, c := range map[string]struct {
		seen   Seen
		state  string
		reason string
		left   int
	}{
		"nothing was booted":             {Seen{Memory: counted(3), Booted: other}, boot.Trying, "", 3},
		"it runs":                        {Seen{Memory: counted(2), Booted: tried}, boot.Trying, "", 2},
		"it runs for the last time":      {Seen{Memory: counted(0), Booted: tried}, boot.Trying, "", 0},
		"it failed once":                 {Seen{Memory: counted(2), Booted: other, Boots: []deployment.Boot{record("bad", time.Hour)}}, boot.Trying, "", 2},
		"it failed for the last time":    {Seen{Memory: counted(0), Booted: other, Boots: []deployment.Boot{record("bad", time.Hour)}}, boot.Bad, "no network", 0},
		"process 1 has just said so":     {Seen{Memory: counted(0), Booted: tried, Boots: []deployment.Boot{record("bad", time.Hour)}}, boot.Bad, "no network", 0},
		"nothing was heard of it":        {Seen{Memory: counted(0), Booted: other}, boot.Bad, "it never got so far that it could say why: the kernel ended, or hung", 0},
		"it began":                       {Seen{Memory: counted(0), Booted: "", Boots: []deployment.Boot{record("", time.Hour)}}, boot.Bad, "its last boot ended, or hung, before it was known to be good", 0},
		"its kernel has said why":        {Seen{Memory: counted(0), Booted: other, Boots: []deployment.Boot{crashed(record("", time.Hour))}}, boot.Bad, "its kernel ended: Kernel panic - not syncing: VFS", 0},
		"an older trial failed":          {Seen{Memory: counted(2), Booted: tried, Boots: []deployment.Boot{record("bad", -time.Hour)}}, boot.Trying, "", 2},
		"an older trial was good":        {Seen{Memory: counted(2), Booted: tried, Boots: []deployment.Boot{record("good", -time.Hour)}}, boot.Trying, "", 2},
		"process 1 says it is good":      {Seen{Memory: counted(1), Booted: tried, Boots: []deployment.Boot{record("good", time.Hour)}}, boot.Good, "", 0},
		"the block says so":              {Seen{Memory: boot.Memory{Trying: entry, Good: entry}, Booted: other}, boot.Good, "", 0},
		"good on the last try":           {Seen{Memory: counted(0), Booted: other, Boots: []deployment.Boot{record("good", time.Hour)}}, boot.Good, "", 0},
		"another is good":                {Seen{Memory: boot.Memory{Trying: entry, Left: 1, Good: boot.EntryID("desktop", other)}, Booted: other}, boot.Trying, "", 1},
		"the block is of another trial":  {Seen{Memory: boot.Memory{Trying: "gitboot-x-1", Left: 0}, Booted: other}, boot.Trying, "", 3},
		"the block is gone":              {Seen{Booted: other}, boot.Trying, "", 3},
		"the block is damaged":           {Seen{Damaged: true, Booted: other}, boot.Trying, "", 2},
		"the block is damaged, it runs":  {Seen{Damaged: true, Booted: tried}, boot.Trying, "", 3},
		"a boot by hand failed":          {Seen{Memory: counted(3), Booted: other, Boots: []deployment.Boot{record("bad", time.Hour)}}, boot.Trying, "", 3},
		"what was not on trial is known": {Seen{Memory: counted(3), Booted: other, Boots: []deployment.Boot{{ID: "b", Deployment: tried, Started: noon, Verdict: "good"}}}, boot.Trying, "", 3},
	} {
		doc := document()
		c.seen.Now = noon.Add(2 * time.Hour)
		changes := Judge(doc, c.seen)
		v := doc.Verdicts[tried]
		if v.State != c.state || v.Reason != c.reason || v.Left != c.left {
			t.Errorf("%s: %+v", what, *v)
		}
		if changed := c.state != boot.Trying; len(changes) != map[bool]int{true: 1}[changed] || changed && (changes[0].N != 2 || changes[0].State != c.state) {
			t.Errorf("%s: told are %+v", what, changes)
		}
		if c.reason == "no network" && changes[0].Log != "eth0: gone" {
			t.Errorf("%s: the log is %q", what, changes[0].Log)
		}
		if strings.HasPrefix(c.reason, "its kernel ended") && !strings.Contains(changes[0].Log, "CPU: 0") {
			t.Errorf("%s: the log is %q", what, changes[0].Log)
		}
		if c.state == boot.Bad && v.Inputs == nil {
			t.Errorf("%s: what it was made from is not kept", what)
		}
		if doc.Verdicts.State(other) != boot.Good {
			t.Errorf("%s: the other is %q", what, doc.Verdicts.State(other))
		}
	}
}

// A block that is damaged again and again ends, too.
func TestDamagedAgainAndAgain(t *testing.T) {
	doc := document()
	for range 3 {
		Judge(doc, Seen{Damaged: true, Booted: other, Now: noon})
	}
	if v := doc.Verdicts[tried]; v.State != boot.Bad {
		t.Errorf("%+v", *v)
	}
}
