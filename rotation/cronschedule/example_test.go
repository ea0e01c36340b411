package cronschedule_test

import (
	"fmt"
	"time"

	"github.com/keybearer/keybearer/rotation/cronschedule"
)

func ExampleNew() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	schedule, err := cronschedule.New("30 2 * * sun", &cronschedule.Options{Location: berlin})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("a key every", schedule.Interval(), "at the latest")
	last := time.Date(2026, 3, 22, 12, 0, 0, 0, berlin)
	for range 2 {
		last = schedule.Next(last)
		fmt.Println(last)
	}
	// Output:
	// a key every 169h0m0s at the latest
	// 2026-03-29 03:00:00 +0200 CEST
	// 2026-04-05 02:30:00 +0200 CEST
}

func ExampleNew_refused() {
	_, err := cronschedule.New("0 0 30 2 *", nil)
	fmt.Println(err)
	// Output:
	// keyprovider: cronschedule: invalid: the expression never fires: no month of those it names has such a day
}
