package trigger

import (
	"fmt"
	"testing"
	"time"
)

// A thousand machines ask at a thousand times, each always at its own.
func TestSpread(t *testing.T) {
	const every, slots = time.Minute, 10
	var counts [slots]int
	for n := range 1000 {
		at := spread(fmt.Sprint("machine-", n), every)
		if at <= 0 || at > every || at != spread(fmt.Sprint("machine-", n), every) {
			t.Fatalf("machine %d asks after %s", n, at)
		}
		counts[(at-1)*slots/every]++
	}
	for slot, n := range counts {
		if n < 60 || n > 140 {
			t.Errorf("%d of 1000 machines ask in tenth %d of a minute", n, slot)
		}
	}
	if at := spread("laptop", 0); at != 1 {
		t.Errorf("without an interval it is %s", at)
	}
}
