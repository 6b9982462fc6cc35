#ifndef TESTS_UNIT_RUNTIME_OTP_SUPERVISOR_RULES_H
#define TESTS_UNIT_RUNTIME_OTP_SUPERVISOR_RULES_H

/* What OTP's documentation of supervisor says, one rule a row: `sup` and
 * `children` as in sup_script.h, then inputs and what must come of them. */
struct rule {
    const char *says;
    const char *sup, *children;
    struct {
        const char *in, *out;
    } steps[8];
};
extern const struct rule otp_supervisor_rules[];
extern const unsigned otp_supervisor_rules_count;
/* Of the plan of one that runs. */
extern const struct rule otp_supervisor_plan[];
extern const unsigned otp_supervisor_plan_count;

#endif
