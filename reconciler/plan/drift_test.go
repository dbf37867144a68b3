package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
)

// What stands is news once; what is mended and comes again is news again, and what
// stands is forgotten last.
func TestDriftIsNewsOnce(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	menu, short := plan.Drift{Thing: plan.TheMenu, Path: "boot/gitboot.cfg", How: "is missing"}, plan.Drift{Path: "objects/sha256/" + strings.Repeat("a", 64), How: "is 5 bytes long instead of 9", Image: "desktop", Generation: 2}
	known := plan.Remember(nil, []plan.Drift{menu, short}, at)
	if news := plan.News(known, []plan.Drift{short, menu}); len(news) != 0 {
		t.Errorf("%v is news", news)
	}
	known = plan.Mend(known, []plan.Drift{short}, at.Add(time.Minute))
	if standing := plan.Standing(known); len(standing) != 1 || standing[0].String() != "objects/sha256/aaaaaaaaaaaa is 5 bytes long instead of 9 (desktop, generation 2)" {
		t.Errorf("what stands is %v", standing)
	}
	if news := plan.News(known, []plan.Drift{short, menu}); len(news) != 1 || news[0].Path != menu.Path {
		t.Errorf("%v is news", news)
	}
	gone := short
	gone.How = "is missing"
	known = plan.Remember(known, []plan.Drift{gone}, at.Add(time.Hour))
	if standing := plan.Standing(known); len(standing) != 1 || standing[0].How != gone.How {
		t.Errorf("what stands is %v", standing)
	}
	for i := range 2 * plan.MaxDrift {
		known = plan.Mend(plan.Remember(known, []plan.Drift{{Path: fmt.Sprint(i)}}, at.Add(2*time.Hour)), []plan.Drift{gone}, at.Add(2*time.Hour))
	}
	if len(known) != plan.MaxDrift || len(plan.Standing(known)) != 1 {
		t.Errorf("%d are remembered, of which %d stand", len(known), len(plan.Standing(known)))
	}
}
