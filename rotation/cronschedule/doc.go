// Package cronschedule is a schedule for a rotation.Rotator from a cron
// expression:
//
//	schedule, err := cronschedule.New("0 3 * * 1", nil) // Mondays at 03:00 UTC
//
// # Expressions
//
// Five fields: minute, hour, day of the month, month, day of the week. A field
// is "*" or "?", a value, a range "a-b", either of these with a step "/n", or a
// list of these by commas. Months and days of the week may be named, in full or
// by three letters; 0 and 7 are Sunday. If the day of the month and the day of the
// week are both restricted, either suffices, as in every cron. Further: L (last
// day of the month), LW (last working day), 15W (the working day next to the
// 15th), 5L (last Friday), 5#2 (second Friday). The words @hourly, @daily,
// @weekly, @monthly and @yearly stand for what they say; @midnight and
// @annually too.
//
// Expressions with seconds or years are refused, since programs disagree where
// they stand, and a daily rotation misread as a monthly one is a key that ends
// before its successor is made. So are reversed ranges and expressions that
// never fire, such as "0 0 30 2 *".
//
// # Time zones
//
// The expression is about the clock on the wall in Options.Location, UTC by
// default. When that clock is put forward, a time that it skips counts as the
// first moment after the gap, so that no rotation is left out; times that fall on
// the same moment count once. When it is put back, a time that it shows twice
// counts the first time only, so that no key is replaced an hour after it was made.
package cronschedule
