// Asks a tiny route whether anything changed, and reruns its fragment only then. Says how fresh the page is.
export default function({parentElement:root,data,setTriggerValue}){
 const tell=v=>document.dispatchEvent(new CustomEvent('ops:moved',{detail:v}));
 let S=root._P;if(!S){S=root._P={ok:Date.now(),bad:0,sent:null,stopped:false};
  const box=root.querySelector('.p');
  const say=()=>{const s=Math.round((Date.now()-S.ok)/1e3),live=S.bad<3;
   const text=live?(S.data.active?`Live · ${S.data.active} running`:'Live'):`Not live · last checked ${s<60?s+' s':Math.round(s/60)+' min'} ago`;
   if(S.text!==text){S.text=text;box.innerHTML=`<span class="${live?'on':'off'}"><i></i>${text}</span>`}
   box.title=live?`Checked ${s<2?'just now':s+' s ago'}; changes show by themselves.`:'The server does not answer. What you see may be old.'};
  const ask=async()=>{if(S.stopped)return;let wait=S.data.active?500:1600;
   if(!document.hidden){try{const r=await fetch('/live',{headers:{accept:'application/json'},cache:'no-store'});
     if(r.status===401||r.status===403||r.redirected){if(S.seenOk){S.stopped=true;location.reload();return}throw 0}
     if(!r.ok||!(r.headers.get('content-type')||'').includes('json'))throw 0;
     const j=await r.json();tell(j.v);S.bad=0;S.ok=Date.now();S.seenOk=true;
     if(j.v!==S.data.v&&j.v!==S.sent&&!(window.__ops_going>Date.now())){S.sent=j.v;S.set('beat',j.v)}}
    catch{S.bad++;wait=5000;if(!S.seenOk&&S.bad<1e3){S.set('beat',String(Date.now()));S.ok=Date.now();S.bad=0}}}
   say();S.timer=setTimeout(ask,wait)};
  S.data=data;S.set=setTriggerValue;S.timer=setTimeout(ask,data.active?350:900);S.shown=setInterval(say,1000);S.say=say;
  S.vis=()=>{if(!document.hidden){clearTimeout(S.timer);ask()}};document.addEventListener('visibilitychange',S.vis)}
 if(S.told!==data.v){S.told=data.v;tell(data.v)}
 S.data=data;S.set=setTriggerValue;S.say();
 return ()=>{S.stopped=true;clearTimeout(S.timer);clearInterval(S.shown);document.removeEventListener('visibilitychange',S.vis);root._P=null}
}
