//! A machine whose clock is wrong: deadlines, ages and what is told are of AWS's time.

use jiff::Timestamp;

use crate::rig::Rig;

const MONTH: i64 = 30 * 24 * 3600;

#[test]
fn a_machine_whose_clock_is_a_month_off_neither_fails_a_deployment_nor_waits_for_ever() {
    for ahead in [-MONTH, MONTH] {
        let rig = Rig::elsewhen(ahead);
        rig.build("bbbbbbb");
        rig.declare("bbbbbbb");
        rig.expect(&["reconcile", "--timeout", "60"], 0);
        let status = rig.status();
        assert_eq!(status["health"], "Healthy", "{status}");
        let at: Timestamp = status["runningCheckedAt"].as_str().unwrap().parse().unwrap();
        let aws = i64::try_from(rig.world.lock().unwrap().now()).unwrap();
        let off = aws - at.as_second();
        assert!(
            (0..3600).contains(&off),
            "{off} s behind AWS, whose clock is {ahead} s ahead of the machine's"
        );
    }
}
