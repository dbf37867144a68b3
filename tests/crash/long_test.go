//go:build long

package crash

import "testing"

func TestLongRandomKills(t *testing.T) { killRandomly(t, 850, 150) }
